//! Preparing to acquire a shard: lock its file, apply the rules, write its new record.

use std::collections::BTreeSet;

use contracts::{Epoch, Shard};
use runtime::Clock;
use tracing::warn;

use crate::boot_time::BootTime;
use crate::error::OwnershipError;
use crate::lease::Lease;
use crate::leases::identity::WorkerIdentity;
use crate::leases::leased_shard::LockedShard;
use crate::leases::observed::{ObservedFleet, ObservedShard};
use crate::record::{ShardRecord, to_json};
use crate::redis::AcquireRequest;
use crate::rules::{LeaseCandidate, LeaseTimes, may_acquire, next_epoch, was_clean};
use crate::shard_file::ShardFile;
use crate::store_files::StoreFiles;

/// Most shards acquired at once: each costs a flush to disk, during which the lease task does
/// nothing else.
const MAX_BATCH: usize = 16;

pub(super) struct ShardAcquirer {
    me: WorkerIdentity,
    times: LeaseTimes,
    files: StoreFiles,
    clock: Clock,
    /// Owners that were logged as frozen.
    frozen_logged: BTreeSet<String>,
}

/// Shards that are ready to be acquired.
#[derive(Default)]
pub(super) struct AcquireBatch {
    pub(super) requests: Vec<AcquireRequest>,
    /// In the same order.
    pub(super) locked: Vec<LockedShard>,
    /// More shards may be ready soon.
    pub(super) retry_soon: bool,
}

/// Whether a shard can be acquired now.
enum AcquireAttempt {
    Ready(AcquireRequest, LockedShard),
    /// Its last owner has released it and is about to unlock its file.
    RetrySoon,
    NotAllowed,
}

impl ShardAcquirer {
    pub(super) fn new(
        me: WorkerIdentity,
        times: LeaseTimes,
        files: StoreFiles,
        clock: Clock,
    ) -> Self {
        Self { me, times, files, clock, frozen_logged: BTreeSet::new() }
    }

    /// Prepares those of `shards` whose files it can lock and that the rules allow.
    pub(super) fn prepare(
        &mut self,
        shards: &[Shard],
        observed: &ObservedFleet,
        redis_steady: bool,
    ) -> Result<AcquireBatch, OwnershipError> {
        let mut batch = AcquireBatch::default();
        for &shard in shards {
            let Some(seen) = observed.shard(shard) else { continue };
            match self.prepare_one(shard, seen, redis_steady)? {
                AcquireAttempt::Ready(request, locked) => {
                    batch.requests.push(request);
                    batch.locked.push(locked);
                }
                AcquireAttempt::RetrySoon => batch.retry_soon = true,
                AcquireAttempt::NotAllowed => {}
            }
            if batch.requests.len() == MAX_BATCH {
                batch.retry_soon = true;
                break;
            }
        }
        Ok(batch)
    }

    /// The lock comes first: while this worker holds it, no other worker on this store can acquire
    /// the shard.
    fn prepare_one(
        &mut self,
        shard: Shard,
        seen: &ObservedShard,
        redis_steady: bool,
    ) -> Result<AcquireAttempt, OwnershipError> {
        let Some(mut lock) = self.files.lock_shard(shard)? else {
            return Ok(self.on_locked_by_other(shard, seen));
        };
        let record = seen.record.as_ref();
        let now = BootTime::now();
        let candidate =
            LeaseCandidate { store: &self.me.store, lock: lock.identity(), redis_steady };
        if !may_acquire(record, candidate, now.since(seen.since), self.times) {
            return Ok(AcquireAttempt::NotAllowed);
        }
        let file = lock.read()?;
        let lease = Lease {
            shard,
            epoch: Epoch(next_epoch(record, file.0, self.clock.unix_seconds())),
            clean: was_clean(record, file),
        };
        let record = self.new_record(lease, &lock);
        let request = AcquireRequest { shard, seen: seen.text.clone(), record: to_json(&record) };
        let locked = LockedShard { lease, heartbeat: record.heartbeat, lock, sent: now };
        Ok(AcquireAttempt::Ready(request, locked))
    }

    fn new_record(&self, lease: Lease, lock: &ShardFile) -> ShardRecord {
        ShardRecord {
            epoch: lease.epoch.0,
            owner: self.me.owner(),
            // Starts with the time, so that no two records of a shard are equal, whatever Redis
            // has lost in between.
            heartbeat: u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0),
            store: self.me.store.clone(),
            clean: false,
            lock: lock.identity().to_owned(),
        }
    }

    fn on_locked_by_other(&mut self, shard: Shard, seen: &ObservedShard) -> AcquireAttempt {
        let Some(record) = seen.record.as_ref().filter(|record| !record.is_free()) else {
            return AcquireAttempt::RetrySoon;
        };
        let expired = BootTime::now().since(seen.since) >= self.times.takeover_wait();
        let owner = &record.owner;
        if expired && *owner != self.me.owner() && self.frozen_logged.insert(owner.clone()) {
            warn!(%shard, owner, "a lease has ended but its owner still runs; waiting for its lock");
        }
        AcquireAttempt::NotAllowed
    }
}
