//! The bus on RabbitMQ: AMQP 0-9-1 by lapin.
//!
//! Two connections at most: one consumes, one publishes. Each is kept by a task of its own
//! ([`link`]) that connects, declares the topology, watches, and does the same again after a fault;
//! whoever uses it follows a `watch` of the present link. lapin's own recovery stays off: it would
//! replay channels under our tickets.

mod consume;
mod intake;
mod link;
mod outlet;
mod settle;
mod topology;
mod window;
mod wire;

use std::time::Duration;

pub(crate) use intake::Intake;
pub(crate) use outlet::Outlet;

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
        Ok(answer) => answer.map_err(|source| Error::Failed { step, source }),
        Err(_) => Err(Error::TimedOut { step, after: timeout }),
    }
}
