//! The command bus: commands in from whoever publishes them, settlements and replies out.
//!
//! A delivery enters by [`Bus`] and goes to the one [`Execute`] that the binary gives it. Its
//! [`Ticket`] comes back with a [`Settlement`], and only then does RabbitMQ forget the message.
//! [`Publisher`] is the other end: it puts commands on the bus and waits for their answers.
//!
//! Both ends exist twice behind the same types: on RabbitMQ, and inside one process. [`DeadLetters`]
//! and [`inspect`] are the operator's, on RabbitMQ alone.
//!
//! Invariants: nothing is acknowledged before it is settled; no command is ever put back into a queue;
//! a message that nobody can carry out is kept as a dead letter with its reason, never dropped; no
//! answer of RabbitMQ is waited for without a limit. Only this crate names `lapin`.
//!
//! Read in this order: [`delivery`], [`bus`], [`publisher`], [`outgoing`].

mod amqp;
pub mod bus;
mod calls;
pub mod delivery;
mod error;
mod local;
mod message;
pub mod outgoing;
pub mod publisher;
mod refusal;
mod sorter;

pub use amqp::{DeadLetter, DeadLetters, Inspection, Which, inspect};
pub use bus::Bus;
pub use delivery::{Delivery, Execute, Settlement, Ticket};
pub use error::{Error, PublishError, Said};
pub use outgoing::Outgoing;
pub use publisher::Publisher;
