//! What the worker needs of the outside.

use std::fmt;

use bytes::Bytes;
use contracts::{AccountId, Epoch, Event};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// The event log, as far as an owner needs it.
pub trait EventSink: Send + Sync + 'static {
    /// Queues an event for the account's log; never blocks. `known` is false for accounts that no
    /// worker has, whose log may go soon. `stored` is called once the event is in the log.
    fn append(&self, event: Event, epoch: Epoch, known: bool, stored: Option<OnStored>);

    /// Claims the account's log for `epoch`, before the account is opened; waits while the log is
    /// away. The error says why another owner's claim stands.
    fn claim(&self, account: AccountId, epoch: Epoch) -> BoxFuture<'_, Result<(), NotStored>>;

    /// Whether the log can be reached; while it cannot, nothing is handed to TDLib.
    fn up(&self) -> watch::Receiver<bool>;
}

/// Is given the event's JSON once the log has it.
pub type OnStored = Box<dyn FnOnce(Result<Bytes, NotStored>) + Send>;

/// Why an event did not get into the log, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStored {
    /// A newer owner has claimed the account.
    Fenced,
    /// The log is shut down.
    Closed,
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fenced => "a newer owner has claimed the account",
            Self::Closed => "the event log is shut down",
        })
    }
}

/// Is told what became of a request, at most once. Dropped uncalled, the request was not carried
/// out here (the shard is being given up, or a newer owner has it) and is to be delivered again.
pub type OnOutcome = Box<dyn FnOnce(Outcome) + Send>;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is in the log; here is its JSON.
    Answered(Bytes),
    /// Nobody can carry it out; it is for the operator to look at.
    DeadLetter {
        /// Why, in the words of the answer.
        reason: String,
        /// The answer in the log, if it could be addressed to an account.
        event: Option<Bytes>,
    },
}
