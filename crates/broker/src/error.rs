use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

/// Why the bus cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `broker.uri` is not an AMQP URI. The parser's message is left out: it may repeat the password.
    #[error("broker.uri is not a valid AMQP URI")]
    Uri,
    /// The exchange exists and belongs to another shard count.
    #[error(
        "exchange `{exchange}` belongs to an installation with another shard_count than {count}: set shard_count to \
         that number (`rabbitmqctl list_exchanges name arguments` shows it), or choose another namespace"
    )]
    ShardCount {
        /// The commands' exchange.
        exchange: String,
        /// This process's setting.
        count: u16,
        /// RabbitMQ's answer.
        source: AmqpError,
    },
    /// A queue or exchange exists with other arguments.
    #[error(
        "`{name}` exists with other arguments: set broker.queue_type to what it was declared with, or drain and \
         delete it"
    )]
    Mismatch {
        /// The queue or exchange.
        name: String,
        /// RabbitMQ's answer.
        source: AmqpError,
    },
    /// RabbitMQ refused a step, or the connection broke during it.
    #[error("{step} failed")]
    Failed {
        /// The step.
        step: &'static str,
        /// The cause.
        source: AmqpError,
    },
    /// A queue is missing that every worker and client declares when it connects.
    #[error("no queue `{name}`: has a worker ever connected to this RabbitMQ with this namespace?")]
    NoQueue {
        /// The queue.
        name: String,
        /// RabbitMQ's answer.
        source: AmqpError,
    },
    /// This process has no key to tell which dead letters the workers have written.
    #[error("telegram.master_key is not set: without it no dead letter can be published again")]
    NoKey,
    /// RabbitMQ did not answer a step. A quorum queue without a leader answers nothing at all.
    #[error("{step} was not answered within {after:?}")]
    TimedOut {
        /// The step.
        step: &'static str,
        /// `broker.timeout_ms`.
        after: Duration,
    },
    /// RabbitMQ ended a consumer: its queue was deleted, or the node of its leader went down.
    #[error("RabbitMQ ended the consumer")]
    ConsumerEnded,
    /// The connection did not answer and was replaced.
    #[error("the connection was replaced")]
    Replaced,
    /// RabbitMQ did not confirm a dead letter or a forwarded message.
    #[error("RabbitMQ did not confirm a message")]
    NotConfirmed,
    /// Too many deliveries were left unsettled; the channel is closed so that they are redelivered.
    #[error("{count} deliveries were left unsettled")]
    Abandoned {
        /// How many.
        count: usize,
    },
    /// A delivery was refused: this worker has no valid lease for the shard.
    #[error("this worker has no lease for the shard")]
    NoLease,
    /// The time to settle what was delivered is over.
    #[error("the grace period is over")]
    Grace,
}

/// The error of RabbitMQ or of the AMQP library. It never contains the URI.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AmqpError(pub(crate) Box<lapin::Error>);

impl From<lapin::Error> for AmqpError {
    fn from(error: lapin::Error) -> Self {
        Self(Box::new(error))
    }
}

impl AmqpError {
    /// Whether RabbitMQ closed the channel with this error.
    pub(crate) fn is(&self, soft: &AMQPSoftError) -> bool {
        let ErrorKind::ProtocolError(error) = self.0.kind() else { return false };
        matches!(error.kind(), AMQPErrorKind::Soft(kind) if kind == soft)
    }
}

/// Why a command was not published, or has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No envelope can hold the command; nothing was sent.
    #[error("{0}")]
    Invalid(&'static str),
    /// There was no connection in time; nothing was sent.
    #[error("no connection to RabbitMQ; nothing was published")]
    Unavailable,
    /// No queue accepts the command; it was not stored.
    #[error("no queue accepts the command; it was not published")]
    Unroutable,
    /// RabbitMQ refused to store it: a queue is full, its disk failed, the exchange is missing, or this
    /// user may not write to it.
    #[error("RabbitMQ refused the command; it was not published")]
    Refused,
    /// It was sent without being confirmed: it may or may not be on the queue. Publish it again
    /// with the same `command_id`.
    #[error("RabbitMQ did not confirm the command")]
    Unconfirmed,
    /// No answer came in time. The command may be on the queue and may still be run.
    #[error("no answer came in time")]
    NoAnswer,
}
