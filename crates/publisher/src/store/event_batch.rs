use std::hash::{DefaultHasher, Hash, Hasher};

use contracts::EventId;
use log_port::CommandCompletion;

use crate::stored::StoredEvent;

/// Consecutive events of one account.
#[derive(Debug)]
pub(crate) struct EventBatch {
    pub entries: Vec<EventEntry>,
    /// Distinguishes two batches that end at the same id. Only compared with batches of the same
    /// process.
    pub digest: u64,
    /// After the append, events older than this (Unix time in milliseconds) are dropped from the
    /// front of the log.
    pub drop_before: Option<i64>,
}

/// One event, with the command that it completes.
#[derive(Clone, Debug)]
pub(crate) struct EventEntry {
    pub event: StoredEvent,
    /// `occurred_at`, as Unix time in milliseconds.
    pub at: i64,
    pub completion: Option<CommandCompletion>,
    /// The entry of the audit stream, if it answers a command.
    pub audit: Option<Box<str>>,
}

impl EventBatch {
    pub(crate) fn new(entries: Vec<EventEntry>) -> Self {
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
