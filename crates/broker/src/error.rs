use std::time::Duration;

/// Why the bus cannot be used as it is set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `broker.uri` is not an AMQP URI. The parser's own words may repeat the password.
    #[error("broker.uri cannot be read")]
    Uri,
    /// The exchange exists, and belongs to another shard count.
    #[error(
        "exchange `{exchange}` belongs to an installation with another shard_count than {count}: set shard_count to \
         that number (`rabbitmqctl list_exchanges name arguments` shows it), or choose another namespace"
    )]
    ShardCount {
        /// The commands' exchange.
        exchange: String,
        /// The count that is set here.
        count: u16,
        /// What RabbitMQ said.
        source: Said,
    },
    /// A queue or exchange exists with other arguments.
    #[error(
        "`{name}` exists with other arguments: set broker.queue_type to what it was declared with, or drain and \
         delete it"
    )]
    Mismatch {
        /// The queue or exchange.
        name: String,
        /// What RabbitMQ said.
        source: Said,
    },
    /// RabbitMQ refused a step, or the connection broke in it.
    #[error("{step} failed")]
    Failed {
        /// The step.
        step: &'static str,
        /// What was said of it.
        source: Said,
    },
    /// A queue that every worker and publisher declares at its start is not there.
    #[error(
        "there is no queue `{name}`: has a worker been connected to this RabbitMQ, under this namespace?"
    )]
    NoQueue {
        /// The queue.
        name: String,
        /// What RabbitMQ said.
        source: Said,
    },
    /// RabbitMQ did not answer a step. A quorum queue without a leader answers nothing at all.
    #[error("{step} was not answered within {after:?}")]
    TimedOut {
        /// The step.
        step: &'static str,
        /// `broker.timeout_ms`.
        after: Duration,
    },
    /// RabbitMQ ended a consumer by itself: its queue was deleted, or the node of its leader went.
    #[error("RabbitMQ ended the consumer")]
    Ended,
    /// The connection answered nothing, and another takes its place.
    #[error("the connection was given up")]
    GivenUp,
    /// A message that lapin cannot parse, which ends the connection each time it is delivered. AMQP
    /// clients do not make such messages by themselves.
    #[error(
        "a message has a routing key, id or header name that is not UTF-8: find the queue that keeps it, such as \
         `<namespace>.unrouted`, and take it out"
    )]
    Unparsable {
        /// What lapin said.
        source: Said,
    },
    /// RabbitMQ would not keep a dead letter or a forwarded message.
    #[error("RabbitMQ did not take over a message")]
    NotTaken,
    /// Too many deliveries were left unsettled; the channel is given up so that they come again.
    #[error("{count} deliveries were left unsettled")]
    Abandoned {
        /// How many.
        count: usize,
    },
    /// A delivery was refused: this worker has no valid lease for the shard.
    #[error("this worker has no lease for the shard")]
    NoLease,
    /// The time to settle what was handed over is up.
    #[error("the grace period is over")]
    Grace,
}

/// What RabbitMQ, or the library that talks to it, said of a failure. It repeats no URI.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Said(pub(crate) Box<lapin::Error>);

impl From<lapin::Error> for Said {
    fn from(error: lapin::Error) -> Self {
        Self(Box::new(error))
    }
}

/// Why a command was not published, or has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The command cannot be put into an envelope; nothing was sent.
    #[error("{0}")]
    Invalid(&'static str),
    /// There was no connection in time; nothing was sent.
    #[error("no connection to RabbitMQ")]
    Unavailable,
    /// No queue takes the command; it was not kept.
    #[error("no queue takes the command")]
    Unroutable,
    /// RabbitMQ refused to keep it: a queue is full, or lost its disk.
    #[error("RabbitMQ refused the command")]
    Refused,
    /// It was sent, and no confirm was seen: it may or may not be on the queue. Publish it again
    /// with the same `command_id`.
    #[error("RabbitMQ did not confirm the command")]
    Unconfirmed,
    /// No answer came in time. The command may be on the queue, and may still be run.
    #[error("no answer came in time")]
    NoAnswer,
}
