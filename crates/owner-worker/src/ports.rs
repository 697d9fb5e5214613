//! What the worker needs from the outside.

use std::sync::Arc;

use bytes::Bytes;
use contracts::Properties;
use log_port::LogPort;

/// The ports of a [`Worker`](crate::Worker).
pub struct WorkerPorts {
    /// The event log, with its ledger and pending lists.
    pub log: Arc<dyn LogPort>,
    /// Sends the replies of commands from the pending lists.
    pub replies: Arc<dyn ReplySender>,
}

/// Sends the reply of a command whose message is acknowledged already.
pub trait ReplySender: Send + Sync + 'static {
    /// Sends `event` to the command's `reply_to`, if it has one; never blocks.
    fn reply(&self, command: &Properties, event: Bytes);
}

/// Called with a request's outcome, at most once. If it is dropped instead, the request was not
/// executed here (the shard is being given up, or has a newer owner) and must be redelivered.
pub type OnOutcome = Box<dyn FnOnce(CommandOutcome) + Send>;

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// The answer is in the log; this is its JSON.
    Answered(Bytes),
    /// It was answered before, and the log has trimmed that event.
    AnsweredBefore,
    /// It is in its account's pending list: the message can be acknowledged, and the reply is sent
    /// later by [`ReplySender`].
    Pending,
    /// It cannot be executed, and is kept for an operator to inspect.
    DeadLetter {
        /// Why; the error string of the answer.
        reason: String,
        /// The answer in the log, unless the message names no account.
        event: Option<Bytes>,
    },
    /// It was not executed, and nothing can be stored for its account: the account's log belongs to
    /// another epoch. A worker that has lost the shard leaves it to the new owner; a worker that
    /// has the shard keeps it for an operator, who has to see who wrote that epoch.
    NotOwned {
        /// Why, in words.
        reason: String,
        /// An error event for the sender, which is in no log.
        event: Option<Bytes>,
    },
}
