//! What a place to keep logs must be able to do; the writer knows no more of Redis than this.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountId, CommandId, Epoch, EventId};
use log_port::{
    Admission, AdmissionVerdict, CommandCompletion, HeadField, LogHead, PendingCommand,
    PendingPosition,
};

use runtime::Backoff;

use crate::stored::Stored;

/// Delays between attempts to reach the store.
pub(crate) fn retry_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(50), Duration::from_secs(2))
}

/// One act on one account's keys; a store carries it out whole or not at all, and carrying it out
/// twice in a row is the same as once.
#[derive(Debug)]
pub(crate) struct Call {
    pub account: AccountId,
    /// Refused when the head knows a newer one.
    pub epoch: Epoch,
    /// Whether some worker runs the account: its keys then live long.
    pub served: bool,
    /// Where the log ends before the act. Every act but [`Act::Claim`] and [`Act::Restore`] is
    /// refused when the log ends elsewhere: a store that has lost events has lost more.
    pub last: Option<EventId>,
    pub act: Act,
}

#[derive(Debug)]
pub(crate) enum Act {
    /// Writes the epoch into the head and tells what it says, with the pending lists if wanted.
    Claim { pending: bool },
    /// Stores and publishes events, and settles the commands that they answer.
    Append(Block),
    /// The same with those of the events the log lacks; it then ends at the last of them, or at
    /// [`Call::last`] where there are none.
    Restore(Block),
    /// Asks the ledger of commands, one verdict each.
    Admit(Vec<Asked>),
    /// Takes hand-overs back, each unless the command was handed over again since.
    UndoDispatch(Vec<(CommandId, Token)>),
    /// Appends to the pending lists what is neither there, nor done, nor was there.
    PushPending(Vec<Arc<Vec<PendingCommand>>>),
    /// Takes out of the pending lists.
    RemovePending(Vec<PendingPosition>),
    /// Writes into the head.
    SetHead(Vec<HeadField>),
}

/// What the ledger is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub begin: Admission,
    /// Kept with the hand-over.
    pub token: Token,
}

/// Tells one hand-over from another, so that one that is said twice counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

impl Token {
    /// One that no worker has given before.
    pub(crate) fn random() -> Self {
        // A fresh RandomState hashes with random keys: the standard library's own randomness.
        Self(RandomState::new().hash_one(()))
    }
}

/// Hexadecimal digits.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Events of one account, in a row.
#[derive(Debug)]
pub(crate) struct Block {
    pub entries: Vec<Entry>,
    /// Tells two blocks that end at the same id apart. Only ever compared with one that the same
    /// process made.
    pub digest: u64,
    /// Events that happened before this (Unix time in milliseconds) are then dropped, as far as
    /// they stand in front.
    pub drop_before: Option<i64>,
}

/// One event, and what comes with it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub event: Stored,
    /// `occurred_at`, as Unix time in milliseconds.
    pub at: i64,
    pub completion: Option<CommandCompletion>,
}

impl Block {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let mut hasher = DefaultHasher::new();
        for entry in &entries {
            entry.event.json.hash(&mut hasher);
        }
        Self { entries, digest: hasher.finish(), drop_before: None }
    }

    pub(crate) fn last(&self) -> Option<EventId> {
        self.entries.last().map(|entry| entry.event.id)
    }
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The account is claimed; here is what its head says.
    Claimed(Box<LogHead>),
    /// Stored; `unheard` of the events had no live receiver.
    Stored { unheard: u64 },
    /// This very block is what was appended last: the reply to it was lost.
    Already,
    /// As many as were asked.
    Admitted(Vec<AdmissionVerdict>),
    /// Left, parked or noted.
    Done,
    /// A newer epoch owns the log.
    Fenced { current: Epoch },
    /// The log does not end where the call says, but there.
    Gap { last: Option<EventId> },
    /// The store refused this call alone; nothing was changed. The text is the store's, for the log.
    Refused(String),
}

/// A store takes nothing at the moment, and what became of the calls is unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Outage {
    #[error("cannot connect")]
    Connect(#[source] deadpool_redis::redis::RedisError),
    #[error("no answer")]
    Answer(#[source] deadpool_redis::redis::RedisError),
    #[error("not now: {0}")]
    Refusing(String),
    #[error("it has lost events")]
    Lost,
}

/// Keeps logs. Used by one task, one batch at a time.
pub(crate) trait Store: Send + 'static {
    /// Where it is, for a log line: no credentials.
    fn place(&self) -> &str;
    /// Makes it usable, again if it was before.
    fn connect(&mut self) -> impl Future<Output = Result<(), Outage>> + Send;
    /// Whether it still answers.
    fn ping(&mut self) -> impl Future<Output = Result<(), Outage>> + Send;
    /// Carries out the calls, at most one per account; as many verdicts as calls, in their order.
    fn run(&mut self, calls: &[Call]) -> impl Future<Output = Result<Vec<Verdict>, Outage>> + Send;
}
