//! The bus on RabbitMQ: AMQP 0-9-1 through lapin.
//!
//! A connection either consumes or publishes, never both. Each has its own [`connection`] manager
//! task, which connects, declares the topology, watches the connection and starts over after a
//! fault; its users follow a `watch` of the current connection. lapin's own recovery stays off: it
//! would replay channels underneath the tickets.
//!
//! lapin logs every message that RabbitMQ returns, body included, as `lapin::returned_messages`: the
//! log filter must keep that target off.

mod ack_tracker;
mod codec;
mod command_publisher;
mod connection;
mod dead_letter;
mod dead_letters;
mod frame_filter;
mod inspection;
mod publication;
mod publish_task;
mod publisher;
mod queue_consumer;
mod settle;
mod signature;
mod subscriptions;
mod timing;
mod topology;
mod topology_check;
mod transport;
mod withdrawable;

pub(crate) use command_publisher::CommandPublisher;
pub(crate) use connection::check_uri;
pub use dead_letter::{DeadLetter, DeadLetterSelector};
pub use dead_letters::{DeadLetters, RedriveCount};
pub use inspection::{Inspection, inspect};
pub(crate) use subscriptions::Subscriptions;
