//! The command bus: commands in from the callers, settlements and replies out.
//!
//! A delivery enters through [`Bus`] and goes to the one [`DeliveryHandler`] that the binary gives
//! it. Its [`DeliveryTicket`] comes back with a [`Settlement`], and only then is the message
//! acknowledged. [`CommandClient`] is the other end: it publishes commands and waits for answers.
//!
//! Both ends have two implementations behind the same types: RabbitMQ, and one process.
//! [`DeadLetters`] and [`inspect`] are for the operator, on RabbitMQ alone.
//!
//! Invariants: nothing is acknowledged before it is settled; no command is ever requeued; a message
//! that nobody can process becomes a dead letter with its reason and is never dropped; a message
//! reaches the handler only on its account's shard; its account is that of its routing key; a body is
//! not parsed before it is known to be within the limits; every wait for RabbitMQ has a limit. Only
//! this crate names `lapin`, and no byte from RabbitMQ reaches it unfiltered.
//!
//! Read in this order: `delivery`, `settlement`, `bus`, `command_client`,
//! `command_request`.

mod amqp;
mod bus;
mod command_client;
mod command_request;
mod delivery;
mod error;
mod identity;
mod in_process;
mod intake;
mod message;
mod misrouted;
mod pending_replies;
mod reply_queues;
mod settlement;
mod shard_filter;

pub use amqp::{DeadLetter, DeadLetterSelector, DeadLetters, Inspection, RedriveCount, inspect};
pub use bus::Bus;
pub use command_client::CommandClient;
pub use command_request::CommandRequest;
pub use delivery::{Delivery, DeliveryHandler, DeliveryTicket};
pub use error::{AmqpError, Error, PublishError};
pub use identity::BusIdentity;
pub use settlement::Settlement;
