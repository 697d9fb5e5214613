//! What the worker needs of the outside.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use contracts::{CommandId, Event, Properties};
use log_port::{Admission, AdmissionVerdict, CommandCompletion, HeadField, LogHead, OwnerToken, PendingCommand, PendingPosition};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// What a worker is given of the outside.
pub struct Ports {
    /// The log.
    pub sink: Arc<dyn EventSink>,
    /// The way back to whoever waits for an answer in a queue of its own.
    pub replies: Arc<dyn Replies>,
}

/// The event log with its ledger and pending lists, as far as an owner needs them.
///
/// What is queued for one account is carried out in that order, and nothing of it once a newer
/// owner has claimed the account.
pub trait EventSink: Send + Sync + 'static {
    /// Queues an event for the account's log; never blocks. An answer also settles its command, in
    /// the same step. `stored` is called once the event is in the log.
    fn append(
        &self,
        owner: OwnerToken,
        event: Event,
        completion: Option<CommandCompletion>,
        stored: Option<OnStored>,
    );

    /// Claims the account for its owner's epoch, before the account is opened; waits while the log
    /// is away. The error says why another owner's claim stands.
    fn claim(&self, owner: OwnerToken) -> BoxFuture<'_, Result<LogHead, NotStored>>;

    /// Asks the ledger whether a command may be run, or answered unrun; waits while the log is away.
    fn begin(
        &self,
        owner: OwnerToken,
        begin: Admission,
    ) -> BoxFuture<'static, Result<AdmissionVerdict, NotStored>>;

    /// Takes a hand-over back: the command was not given to TDLib after all, or is idempotent and
    /// left to the next owner in good order. Never blocks.
    fn leave(&self, owner: OwnerToken, command: CommandId);

    /// Puts commands last into their pending lists, in their order; those that are there already
    /// stay where they are. Never blocks. `stored` is called once they are there.
    fn park(&self, owner: OwnerToken, parked: Vec<PendingCommand>, stored: OnParked);

    /// Takes a command out of its pending list whose answer settles nothing: it was there already,
    /// or the id is another command's. Never blocks.
    fn unpark(&self, owner: OwnerToken, place: PendingPosition);

    /// Writes something down in the account's head. Never blocks.
    fn note(&self, owner: OwnerToken, note: HeadField);

    /// Whether so much waits to be stored that updates that are soon stale are better dropped.
    fn pressed(&self) -> bool;

    /// Whether the log can be reached; while it cannot, nothing is handed to TDLib.
    fn up(&self) -> watch::Receiver<bool>;
}

/// Sends the answer of a command whose message RabbitMQ has let go of.
pub trait Replies: Send + Sync + 'static {
    /// Sends `event` to the command's `reply_to`, if it has one; never blocks.
    fn reply(&self, command: &Properties, event: Bytes);
}

/// Is given the event's JSON once the log has it.
pub type OnStored = Box<dyn FnOnce(Result<Bytes, NotStored>) + Send>;

/// Is told once the commands are in their pending lists.
pub type OnParked = Box<dyn FnOnce(Result<(), NotStored>) + Send>;

/// Why something did not get into the log, for ever.
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
