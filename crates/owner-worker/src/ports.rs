//! What the worker needs of the outside.

use std::sync::Arc;

use bytes::Bytes;
use contracts::Properties;
use log_port::LogPort;

/// What a worker is given of the outside.
pub struct Ports {
    /// The log.
    pub log: Arc<dyn LogPort>,
    /// The way back to whoever waits for an answer in a queue of its own.
    pub replies: Arc<dyn Replies>,
}

/// Sends the answer of a command whose message RabbitMQ has let go of.
pub trait Replies: Send + Sync + 'static {
    /// Sends `event` to the command's `reply_to`, if it has one; never blocks.
    fn reply(&self, command: &Properties, event: Bytes);
}

/// Is told what became of a request, at most once. Dropped uncalled, the request was not carried
/// out here (the shard is being given up, or a newer owner has it) and is to be delivered again.
pub type OnOutcome = Box<dyn FnOnce(Outcome) + Send>;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is in the log; here is its JSON.
    Answered(Bytes),
    /// It has been answered before, and the log does not have that event any more.
    AnsweredBefore,
    /// It is in its account's pending list: the message can be let go of, the answer comes later
    /// by [`Replies`].
    PendingCommand,
    /// Nobody can carry it out; it is for the operator to look at.
    DeadLetter {
        /// Why, in the words of the answer.
        reason: String,
        /// The answer in the log, if it could be addressed to an account.
        event: Option<Bytes>,
    },
}
