use std::sync::atomic::{AtomicU64, Ordering};

/// What the reader has seen since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderCounters {
    /// Updates delivered to an account.
    pub updates: u64,
    /// Answers delivered to a caller.
    pub answers: u64,
    /// Answers that nobody was waiting for any more.
    pub late: u64,
    /// Answers without a request's number: TDLib could not parse the request.
    pub unmatched: u64,
    /// Objects for a client that is closed or unknown.
    pub unroutable: u64,
    /// Input that is not a TDLib object.
    pub not_understood: u64,
    /// Objects of an unexpected shape, which had to be parsed to find their client.
    pub reshaped: u64,
}

/// The counters while the reader updates them.
#[derive(Default)]
pub(crate) struct AtomicCounters {
    pub(crate) updates: AtomicU64,
    pub(crate) answers: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) unmatched: AtomicU64,
    pub(crate) unroutable: AtomicU64,
    pub(crate) not_understood: AtomicU64,
    pub(crate) reshaped: AtomicU64,
}

impl AtomicCounters {
    pub(crate) fn read(&self) -> ReaderCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReaderCounters {
            updates: read(&self.updates),
            answers: read(&self.answers),
            late: read(&self.late),
            unmatched: read(&self.unmatched),
            unroutable: read(&self.unroutable),
            not_understood: read(&self.not_understood),
            reshaped: read(&self.reshaped),
        }
    }
}

pub(crate) fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
