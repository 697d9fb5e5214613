//! The shards that this worker holds: renewing, losing and releasing them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use contracts::Shard;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::boot_time::{BootTime, wait_until};
use crate::error::OwnershipError;
use crate::lease::OwnershipChange;
use crate::lease_table::LeaseTable;
use crate::leases::identity::WorkerIdentity;
use crate::leases::leased_shard::{ClosedShard, HoldPhase, LeasedShard, LockedShard};
use crate::redis::RecordWrite;
use crate::rules::LeaseTimes;

pub(super) struct HeldShards {
    me: WorkerIdentity,
    times: LeaseTimes,
    table: Arc<LeaseTable>,
    changes: mpsc::UnboundedSender<Result<OwnershipChange, OwnershipError>>,
    held: BTreeMap<Shard, LeasedShard>,
    closed: BTreeMap<Shard, ClosedShard>,
}

impl HeldShards {
    pub(super) fn new(
        me: WorkerIdentity,
        times: LeaseTimes,
        table: Arc<LeaseTable>,
        changes: mpsc::UnboundedSender<Result<OwnershipChange, OwnershipError>>,
    ) -> Self {
        Self { me, times, table, changes, held: BTreeMap::new(), closed: BTreeMap::new() }
    }

    /// Number of shards held, including those that are being closed.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether the shard is held, or closed and not yet released in Redis.
    pub(super) fn contains(&self, shard: Shard) -> bool {
        self.held.contains_key(&shard) || self.closed.contains_key(&shard)
    }

    /// Shards that are held and are to stay, with the moment each was acquired.
    pub(super) fn open_shards(&self) -> impl Iterator<Item = (Shard, BootTime)> {
        let open = self.held.iter().filter(|(_, held)| held.phase == HoldPhase::Open);
        open.map(|(&shard, held)| (shard, held.since))
    }

    pub(super) fn add(&mut self, locked: LockedShard) {
        let (lease, sent) = (locked.lease, locked.sent);
        self.table.grant(lease.shard, self.times.closes_at(sent), self.times.ends_at(sent));
        self.held.insert(lease.shard, LeasedShard::new(locked));
        info!(shard = %lease.shard, epoch = lease.epoch.0, clean = lease.clean, "shard acquired");
        self.send(OwnershipChange::Acquired(lease));
    }

    /// The renewals that are due.
    pub(super) fn due_renewals(&mut self, now: BootTime) -> Vec<RecordWrite> {
        // Half a heartbeat early, so that none is a whole heartbeat late.
        let due = self.times.renewal_interval().saturating_sub(self.times.heartbeat_interval() / 2);
        self.held
            .iter_mut()
            .filter(|(_, held)| {
                held.phase != HoldPhase::Superseded && now.since(held.renewed) >= due
            })
            .map(|(&shard, held)| held.renewal(shard, &self.me))
            .collect()
    }

    /// Redis has answered `renewals`, sent at `sent`: it accepted all but `lost`.
    pub(super) fn on_renewed(&mut self, renewals: &[RecordWrite], lost: &[String], sent: BootTime) {
        for renewal in renewals {
            let Ok(shard) = renewal.shard.parse() else { continue };
            if lost.contains(&renewal.shard) {
                self.lose(shard, HoldPhase::Superseded);
            } else if let Some(held) = self.held.get_mut(&shard) {
                held.renewed = sent;
                self.table.extend(shard, self.times.closes_at(sent), self.times.ends_at(sent));
            }
        }
    }

    /// When the next shard is lost unless it is renewed.
    pub(super) fn next_expiry(&self) -> Option<BootTime> {
        let renewable = self.held.values().filter(|held| held.phase < HoldPhase::Lost);
        renewable.map(|held| self.times.closes_at(held.renewed)).min()
    }

    /// Revokes every shard whose lease is about to end.
    pub(super) fn revoke_expiring(&mut self, now: BootTime) {
        let expiring = self.held.iter().filter(|(_, held)| held.is_expiring(self.times, now));
        let expiring: Vec<Shard> = expiring.map(|(&shard, _)| shard).collect();
        for shard in expiring {
            self.lose(shard, HoldPhase::Lost);
        }
    }

    /// Waits for `call` and meanwhile revokes leases that are about to end.
    pub(super) async fn revoke_expiring_during<T>(&mut self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            let expiry = self.next_expiry();
            tokio::select! {
                biased;
                answer = &mut call => return answer,
                () = wait_until(expiry) => self.revoke_expiring(BootTime::now()),
            }
        }
    }

    fn lose(&mut self, shard: Shard, phase: HoldPhase) {
        let Some(held) = self.held.get_mut(&shard) else { return };
        let reported = held.phase >= HoldPhase::Lost;
        held.phase = held.phase.max(phase);
        self.table.revoke(shard);
        // The daemon may have closed it already, with the release still in the channel.
        if !reported && self.table.is_watched(shard) {
            let taken = phase == HoldPhase::Superseded;
            warn!(%shard, taken, "lease lost; closing the shard's accounts");
            self.send(OwnershipChange::Lost(shard));
        }
    }

    pub(super) fn request_hand_over(&mut self, shard: Shard, to: &str) {
        let Some(held) = self.held.get_mut(&shard) else { return };
        if held.phase == HoldPhase::Open && self.table.is_watched(shard) {
            held.phase = HoldPhase::HandOverRequested;
            info!(%shard, to, "handing over a shard");
            self.send(OwnershipChange::HandOverRequested(shard));
        }
    }

    /// The daemon has closed the shard.
    pub(super) fn close(&mut self, shard: Shard, clean: bool) {
        let Some(held) = self.held.remove(&shard) else { return };
        let (closed, written) = ClosedShard::close(held, clean);
        if let Err(error) = written {
            warn!(%shard, error = runtime::error_chain(&error), "cannot record that a shard is closed");
        }
        debug!(%shard, epoch = closed.epoch, clean, "shard released");
        self.closed.insert(shard, closed);
    }

    /// The writes that free the records of closed shards.
    pub(super) fn pending_releases(&self) -> Vec<RecordWrite> {
        self.closed.iter().map(|(&shard, closed)| closed.release(shard, &self.me)).collect()
    }

    /// Redis has written all pending releases.
    pub(super) fn on_released(&mut self) {
        self.closed.clear();
    }

    /// Unlocks the closed shards although Redis cannot be updated now.
    pub(super) fn unlock_closed(&mut self) {
        self.closed.values_mut().for_each(|closed| closed.lock = None);
    }

    /// Reports to the daemon that no more shards can be acquired.
    pub(super) fn report_failure(&self, error: OwnershipError) {
        // Nobody listens once the daemon has ended.
        self.changes.send(Err(error)).ok();
    }

    fn send(&self, change: OwnershipChange) {
        // Nobody listens once the daemon has ended.
        self.changes.send(Ok(change)).ok();
    }
}
