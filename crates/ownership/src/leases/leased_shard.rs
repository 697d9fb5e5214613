//! One shard of this worker, from the lock on its file to the release of its record.

use contracts::Shard;

use crate::boot_time::BootTime;
use crate::error::OwnershipError;
use crate::lease::Lease;
use crate::leases::identity::WorkerIdentity;
use crate::record::ShardRecord;
use crate::redis::RecordWrite;
use crate::rules::LeaseTimes;
use crate::shard_file::ShardFile;

/// A shard whose file is locked, and which is held once Redis has accepted its record.
pub(super) struct LockedShard {
    pub(super) lease: Lease,
    /// As in its record.
    pub(super) heartbeat: u64,
    pub(super) lock: ShardFile,
    /// When the request to acquire it was sent.
    pub(super) sent: BootTime,
}

/// How far a held shard is on its way to being released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HoldPhase {
    Open,
    HandOverRequested,
    /// Its lease is about to end and it is being closed. The lease is still renewed if possible.
    Lost,
    /// Another worker has it.
    Superseded,
}

#[derive(Debug)]
pub(super) struct LeasedShard {
    epoch: u64,
    heartbeat: u64,
    lock: ShardFile,
    /// When it was acquired.
    pub(super) since: BootTime,
    /// When the last accepted renewal was sent.
    pub(super) renewed: BootTime,
    pub(super) phase: HoldPhase,
}

impl LeasedShard {
    pub(super) fn new(locked: LockedShard) -> Self {
        Self {
            epoch: locked.lease.epoch.0,
            heartbeat: locked.heartbeat,
            lock: locked.lock,
            since: BootTime::now(),
            renewed: locked.sent,
            phase: HoldPhase::Open,
        }
    }

    /// Whether its lease is about to end although nothing has been done about it yet.
    pub(super) fn is_expiring(&self, times: LeaseTimes, now: BootTime) -> bool {
        self.phase < HoldPhase::Lost && now >= times.closes_at(self.renewed)
    }

    /// The next renewal.
    pub(super) fn renewal(&mut self, shard: Shard, me: &WorkerIdentity) -> RecordWrite {
        self.heartbeat += 1;
        let record = ShardRecord {
            epoch: self.epoch,
            owner: me.owner(),
            heartbeat: self.heartbeat,
            store: me.store.clone(),
            clean: false,
            lock: self.lock.identity().to_owned(),
        };
        me.write(shard, &record)
    }
}

/// A shard that is closed but whose record does not say so yet.
#[derive(Debug)]
pub(super) struct ClosedShard {
    pub(super) epoch: u64,
    heartbeat: u64,
    clean: bool,
    /// Kept until the record is free, so that no worker that checks locks takes this one for dead.
    pub(super) lock: Option<ShardFile>,
    /// Of that lock.
    identity: String,
}

impl ClosedShard {
    /// Also writes the clean mark to the shard's file. That comes first: whatever happens to the
    /// record, the next owner reads the file.
    pub(super) fn close(held: LeasedShard, clean: bool) -> (Self, Result<(), OwnershipError>) {
        let LeasedShard { epoch, heartbeat, mut lock, .. } = held;
        let written = lock.write(epoch, clean);
        let identity = lock.identity().to_owned();
        (Self { epoch, heartbeat, clean, lock: Some(lock), identity }, written)
    }

    /// The write that frees the record.
    pub(super) fn release(&self, shard: Shard, me: &WorkerIdentity) -> RecordWrite {
        let record = ShardRecord {
            epoch: self.epoch,
            heartbeat: self.heartbeat + 1,
            owner: String::new(),
            store: me.store.clone(),
            clean: self.clean,
            lock: self.identity.clone(),
        };
        me.write(shard, &record)
    }
}
