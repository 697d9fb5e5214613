//! What a place to keep logs must be able to do; the writer knows no more of Redis than this.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};

use contracts::{AccountId, Epoch, EventId};

use crate::stored::Stored;

/// One act on one account's log; a store carries it out whole or not at all.
#[derive(Debug)]
pub(crate) struct Call {
    pub account: AccountId,
    /// Refused when the head knows a newer one.
    pub epoch: Epoch,
    /// Whether some worker runs the account: its keys then live long.
    pub known: bool,
    pub act: Act,
}

#[derive(Debug)]
pub(crate) enum Act {
    /// Writes the epoch into the head and tells the last event's id.
    Claim,
    /// Stores and publishes `events`, if the log ends at `prev`.
    Append(Block),
    /// Stores and publishes those of `events` the log lacks; it then ends at the last of them, or
    /// at `prev` where there are none.
    Restore(Block),
}

/// Events of one account, in a row.
#[derive(Debug)]
pub(crate) struct Block {
    pub prev: Option<EventId>,
    pub events: Vec<Stored>,
    /// Tells two blocks that end at the same id apart. Only ever compared with one that the same
    /// process made.
    pub digest: u64,
}

impl Block {
    pub(crate) fn new(prev: Option<EventId>, events: Vec<Stored>) -> Self {
        let mut hasher = DefaultHasher::new();
        for event in &events {
            event.json.hash(&mut hasher);
        }
        Self { prev, events, digest: hasher.finish() }
    }
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The log is claimed, and ends there.
    Claimed { last: Option<EventId> },
    /// Stored; `unheard` of the events had no live receiver.
    Stored { unheard: u64 },
    /// This very block is what was appended last: the reply to it was lost.
    Already,
    /// A newer epoch owns the log.
    Fenced { current: Epoch },
    /// The log does not end where the block begins, but there.
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
