//! The bus on RabbitMQ: AMQP 0-9-1 by lapin.
//!
//! A connection either consumes or publishes, never both. Each is kept by a task of its own
//! ([`link`]) that connects, declares the topology, watches, and does the same again after a fault;
//! whoever uses it follows a `watch` of the present link. lapin's own recovery stays off: it would
//! replay channels under our tickets.
//!
//! lapin logs every message that RabbitMQ returns, body and all, as `lapin::returned_messages`: the
//! log filter must keep that target off.

mod commands;
mod consume;
mod dead_letters;
mod inspection;
mod intake;
mod letter;
mod link;
mod outlet;
mod press;
mod settle;
mod topology;
mod window;
mod wire;

use std::time::Duration;

pub(crate) use commands::Commands;
pub use dead_letters::DeadLetters;
pub use inspection::{Inspection, inspect};
pub(crate) use intake::Intake;
pub use letter::{DeadLetter, Which};
pub(crate) use link::check_uri;

use crate::error::Error;

/// Pseudo-queue of RabbitMQ that answers go to without any queue being made.
pub(crate) const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Waits at most `timeout` for one answer of RabbitMQ.
async fn within<T>(
    timeout: Duration,
    step: &'static str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer.map_err(|error| Error::Failed { step, source: error.into() }),
        Err(_) => Err(Error::TimedOut { step, after: timeout }),
    }
}
