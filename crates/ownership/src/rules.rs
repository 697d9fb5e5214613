//! The rules that keep two owners apart, as functions of what is known: the running worker asks
//! them, and so does the model that tries every order of events (`model`).

use std::time::Duration;

use crate::boot_time::BootTime;
use crate::record::Record;

/// The times that follow from a lease's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Times {
    pub(crate) lease: Duration,
}

impl Times {
    /// How long a taker must have seen the same record: no owner's clock is so much slower than
    /// ours that its lease were not over by then.
    pub(crate) fn wait(self) -> Duration {
        self.lease + (self.lease / 10).max(Duration::from_millis(500))
    }

    /// After so long without a renewal the owner closes its accounts, so that it is done in time.
    pub(crate) fn closing(self) -> Duration {
        self.lease * 2 / 3
    }

    pub(crate) fn renewal(self) -> Duration {
        self.lease / 3
    }

    /// How often the records are looked at.
    pub(crate) fn look(self) -> Duration {
        self.renewal().min(Duration::from_secs(1))
    }

    /// Longest wait for one answer, so that another try still comes in time.
    pub(crate) fn patience(self) -> Duration {
        self.lease / 6
    }

    /// When an owner must begin to close what it last renewed by a request *sent* at `sent`: the
    /// answer's time says nothing of when Redis wrote the beat.
    pub(crate) fn closes_at(self, sent: BootTime) -> BootTime {
        sent.after(self.closing())
    }

    /// When it must be closed. Not a moment later another may open it.
    pub(crate) fn ends_at(self, sent: BootTime) -> BootTime {
        sent.after(self.lease)
    }
}

/// Who wants a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker<'a> {
    /// Its store.
    pub(crate) store: &'a str,
    /// Identity of the shard's file lock, which it holds; empty when that proves nothing.
    pub(crate) lock: &'a str,
    /// Redis has been up for the [wait](Times::wait): what a restart made it forget, the owners have
    /// told it again.
    pub(crate) steady: bool,
}

/// Whether a worker that holds the shard's file lock may take it, having seen this very record, or
/// none, for `unchanged`.
///
/// The take itself demands that the record is still the same.
pub(crate) fn may_take(
    record: Option<&Record>,
    taker: Taker<'_>,
    unchanged: Duration,
    times: Times,
) -> bool {
    let waited = unchanged >= times.wait();
    let Some(record) = record else { return waited };
    if !record.store.is_empty() && record.store != taker.store {
        return false;
    }
    // An owner holds the lock as long as its accounts may be open: having the same one proves that
    // they are closed, be the owner frozen, cut off or gone.
    let proven = !taker.lock.is_empty() && record.lock == taker.lock;
    // A Redis that lost its last second may call free what has been taken since.
    let free = record.is_free() && (taker.steady || record.epoch == 0);
    free || proven || waited
}

/// Whether an owner whose lease is not over may renew it, by what the record says.
///
/// A record that is missing, or older than the lease, has been forgotten by Redis: it is written
/// again. It is `beat.lua` that decides; this is what its tests compare it with.
#[cfg(test)]
pub(crate) fn may_renew(record: Option<&Record>, owner: &str, epoch: u64) -> bool {
    record.is_none_or(|record| {
        record.epoch < epoch || (record.epoch == epoch && record.owner == owner)
    })
}

/// The epoch of a new owner. It grows although Redis forgets the record, or the file is lost.
pub(crate) fn next_epoch(record: Option<&Record>, file: u64, unix_seconds: u64) -> u64 {
    let stored = record.map_or(0, |record| record.epoch);
    (stored + 1).max(file + 1).max(unix_seconds)
}

/// Whether the last owner closed the shard in good order, or there was none.
///
/// `file` is epoch and mark of the shard's file. An owner writes it before the record when it
/// releases and after it when it takes, so that of two equal epochs the file knows more.
pub(crate) fn was_clean(record: Option<&Record>, file: (u64, bool)) -> bool {
    let (epoch, clean) = file;
    match record {
        Some(record) if record.epoch > epoch => record.is_free() && record.clean,
        _ => clean,
    }
}
