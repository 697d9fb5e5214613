//! The daemon's handle: changes of ownership in, releases out.

use std::path::Path;
use std::sync::Arc;

use contracts::{Shard, ShardCount};
use runtime::{Clock, Stage};

use crate::error::OwnershipError;
use crate::guard::Guard;
use crate::in_process::InProcessOwnership;
use crate::lease::OwnershipChange;
use crate::lease_table::LeaseTable;
use crate::leases::{LeaseConfig, LeaseTaskHandle};
use crate::watchdog;

/// The shards that this worker owns, and those it is about to own or give up.
pub struct Ownership {
    mode: OwnershipMode,
    table: Arc<LeaseTable>,
}

enum OwnershipMode {
    InProcess(Box<InProcessOwnership>),
    Leases(LeaseTaskHandle),
}

impl Ownership {
    /// Shares the shards with other workers, by leases in Redis. Returns at once: a task of `stage`
    /// acquires and renews the leases, and keeps retrying while Redis is down.
    ///
    /// When the stage stops, the task runs on until every shard is released.
    ///
    /// # Errors
    ///
    /// The store cannot be used, or `uri` is not a Redis URI.
    pub fn start_leases(stage: &Stage, config: LeaseConfig) -> Result<Self, OwnershipError> {
        let table = LeaseTable::new(config.count);
        let leases = LeaseTaskHandle::start(stage, config, Arc::clone(&table))?;
        watchdog::start(&table).map_err(OwnershipError::Watchdog)?;
        Ok(Self { mode: OwnershipMode::Leases(leases), table })
    }

    /// Owns every shard, protected only by the lock on each shard's file: for a process without
    /// servers.
    ///
    /// Shards are acquired one by one, each as soon as no other process holds it, and are never
    /// lost.
    ///
    /// # Errors
    ///
    /// The store's directories cannot be created.
    pub fn in_process(
        data_dir: &Path,
        count: ShardCount,
        clock: Clock,
    ) -> Result<Self, OwnershipError> {
        let table = LeaseTable::new(count);
        let shards = InProcessOwnership::new(data_dir, count, Arc::clone(&table), clock)?;
        Ok(Self { mode: OwnershipMode::InProcess(Box::new(shards)), table })
    }

    /// The next change. Waits forever if there is none.
    ///
    /// # Errors
    ///
    /// The store cannot be read or written.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn next_change(&mut self) -> Result<OwnershipChange, OwnershipError> {
        match &mut self.mode {
            OwnershipMode::InProcess(shards) => shards.next_change().await,
            OwnershipMode::Leases(leases) => leases.next_change().await,
        }
    }

    /// Releases a shard. Its accounts must be closed, and nothing in this process may open them
    /// again. `clean` says that all work was finished and stored, so that the next owner does not
    /// have to report a gap.
    pub fn release(&self, shard: Shard, clean: bool) {
        self.table.end(shard);
        match &self.mode {
            OwnershipMode::InProcess(shards) => shards.release(shard, clean),
            OwnershipMode::Leases(leases) => leases.release(shard, clean),
        }
    }

    /// Announces to the other workers that this one is leaving: it acquires no more shards, and
    /// each shard that it releases goes to another worker. Returns within about a second, even if
    /// Redis is down.
    pub async fn leave_fleet(&self) {
        if let OwnershipMode::Leases(leases) = &self.mode {
            leases.leave_fleet().await;
        }
    }

    /// A cheap check of whether a shard is held right now.
    pub fn guard(&self) -> Guard {
        Guard::new(Arc::clone(&self.table))
    }

    /// Sets whether RabbitMQ can be reached; assumed to be until set otherwise. A worker that
    /// cannot reach it for `ownership.join_delay_s` loses its shards to workers that can.
    pub fn set_bus_reachable(&self, reachable: bool) {
        if let OwnershipMode::Leases(leases) = &self.mode {
            leases.set_bus_reachable(reachable);
        }
    }

    /// Sets how many accounts this worker runs, as shown in the operator's list of workers.
    pub fn set_account_count(&self, accounts: usize) {
        if let OwnershipMode::Leases(leases) = &self.mode {
            leases.set_account_count(accounts);
        }
    }

    /// This worker's name; empty in a process without servers.
    pub fn name(&self) -> &str {
        match &self.mode {
            OwnershipMode::InProcess(_) => "",
            OwnershipMode::Leases(leases) => leases.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use contracts::Epoch;

    use super::*;
    use crate::lease::Lease;

    fn ownership(dir: &Path, shards: u16, unix: i64) -> Ownership {
        let clock = Clock::manual(unix * 1000);
        Ownership::in_process(dir, ShardCount::new(shards).unwrap(), clock).unwrap()
    }

    async fn acquired(ownership: &mut Ownership) -> Lease {
        match ownership.next_change().await.unwrap() {
            OwnershipChange::Acquired(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_epoch_grows_even_when_the_clock_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        for (unix, epoch) in [(1000, 1000), (1000, 1001), (50, 1002), (2000, 2000)] {
            let lease = acquired(&mut ownership(dir.path(), 1, unix)).await;
            assert_eq!(lease.epoch, Epoch(epoch));
        }
    }

    #[tokio::test]
    async fn a_shard_that_was_not_released_cleanly_is_not_clean() {
        let dir = tempfile::tempdir().unwrap();
        for (release, clean) in [(Some(true), true), (Some(false), true), (None, false)] {
            let mut ownership = ownership(dir.path(), 1, 10);
            assert_eq!(acquired(&mut ownership).await.clean, clean);
            assert!(ownership.guard().holds(Shard(0)));
            if let Some(clean) = release {
                ownership.release(Shard(0), clean);
                assert!(!ownership.guard().holds(Shard(0)));
            }
        }
        assert!(!acquired(&mut ownership(dir.path(), 1, 10)).await.clean);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_held_by_another_process_does_not_delay_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = ownership(dir.path(), 1, 10);
        assert_eq!(acquired(&mut first).await.epoch, Epoch(10));
        let mut second = ownership(dir.path(), 2, 10);
        assert_eq!(acquired(&mut second).await.shard, Shard(1));
        let waited = tokio::time::timeout(Duration::from_mins(1), second.next_change()).await;
        assert!(waited.is_err(), "the lock is still held");
        first.release(Shard(0), true);
        assert_eq!(acquired(&mut second).await.epoch, Epoch(11));
    }
}
