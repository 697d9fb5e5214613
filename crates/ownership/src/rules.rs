//! The rules that keep two owners apart, as pure functions. The running worker uses them, and so
//! does the model that tries every order of events (`model`).

use std::time::Duration;

use crate::boot_time::BootTime;
use crate::record::ShardRecord;

/// All durations that follow from the lease's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LeaseTimes {
    pub(crate) lease: Duration,
}

impl LeaseTimes {
    /// How long a candidate must have seen the same record before it may acquire the shard. The
    /// margin covers an owner whose clock runs slower than ours.
    pub(crate) fn takeover_wait(self) -> Duration {
        self.lease + (self.lease / 10).max(Duration::from_millis(500))
    }

    /// An owner that has not renewed for this long starts to close its accounts, to be done before
    /// the lease ends.
    pub(crate) fn close_after(self) -> Duration {
        self.lease * 2 / 3
    }

    pub(crate) fn renewal_interval(self) -> Duration {
        self.lease / 3
    }

    /// How often the records are read.
    pub(crate) fn heartbeat_interval(self) -> Duration {
        self.renewal_interval().min(Duration::from_secs(1))
    }

    /// Timeout of one request, short enough for a retry before the lease ends.
    pub(crate) fn request_timeout(self) -> Duration {
        self.lease / 6
    }

    /// When an owner must start to close a shard that it last renewed by a request *sent* at
    /// `sent`. The time of the answer does not count: Redis may have written the renewal long
    /// before.
    pub(crate) fn closes_at(self, sent: BootTime) -> BootTime {
        sent.after(self.close_after())
    }

    /// When the shard must be closed. Another worker may open it any moment after.
    pub(crate) fn ends_at(self, sent: BootTime) -> BootTime {
        sent.after(self.lease)
    }
}

/// A worker that wants a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseCandidate<'a> {
    /// Id of its store.
    pub(crate) store: &'a str,
    /// Identity of the shard's file lock, which it holds; empty if that proves nothing.
    pub(crate) lock: &'a str,
    /// Redis has been up for the [wait](LeaseTimes::takeover_wait): the owners have written again
    /// whatever a restart made it forget.
    pub(crate) redis_steady: bool,
}

/// Whether a worker that holds the shard's file lock may acquire the shard, having seen exactly
/// this record, or none, for `unchanged`.
///
/// The acquire request itself checks that the record is still the same.
pub(crate) fn may_acquire(
    record: Option<&ShardRecord>,
    candidate: LeaseCandidate<'_>,
    unchanged: Duration,
    times: LeaseTimes,
) -> bool {
    let waited = unchanged >= times.takeover_wait();
    let Some(record) = record else { return waited };
    if !record.store.is_empty() && record.store != candidate.store {
        return false;
    }
    // An owner holds the lock as long as its accounts may be open. Holding that same lock proves
    // that they are closed, whether the owner is frozen, cut off or dead.
    let proven = !candidate.lock.is_empty() && record.lock == candidate.lock;
    // A Redis that lost its last second of writes may show a shard as free that has been acquired
    // since.
    let free = record.is_free() && (candidate.redis_steady || record.epoch == 0);
    free || proven || waited
}

/// Whether the record lets an owner renew a lease that has not ended.
///
/// A record that is missing, or older than the lease, was lost by Redis and is written again. The
/// real decision is made in `heartbeat.lua`; its tests compare it with this function.
#[cfg(test)]
pub(crate) fn may_renew(record: Option<&ShardRecord>, owner: &str, epoch: u64) -> bool {
    record.is_none_or(|record| {
        record.epoch < epoch || (record.epoch == epoch && record.owner == owner)
    })
}

/// The epoch of a new owner. It grows even if Redis loses the record or the file is lost.
pub(crate) fn next_epoch(record: Option<&ShardRecord>, file: u64, unix_seconds: u64) -> u64 {
    let stored = record.map_or(0, |record| record.epoch);
    (stored + 1).max(file + 1).max(unix_seconds)
}

/// Whether the last owner closed the shard cleanly, or there was none.
///
/// `file` is the epoch and the clean mark in the shard's file. An owner writes the file before the
/// record when it releases, and after the record when it acquires. So if both have the same epoch,
/// the file is the newer one.
pub(crate) fn was_clean(record: Option<&ShardRecord>, file: (u64, bool)) -> bool {
    let (epoch, clean) = file;
    match record {
        Some(record) if record.epoch > epoch => record.is_free() && record.clean,
        _ => clean,
    }
}
