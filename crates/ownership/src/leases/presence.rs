//! The worker's own record: its name, and what it publishes about itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::warn;

use crate::boot_time::BootTime;
use crate::error::OwnershipError;
use crate::file_lock::FileLock;
use crate::leases::identity::WorkerIdentity;
use crate::leases::input::WorkerStatus;
use crate::leases::observed::{DuplicateName, ObservedFleet};
use crate::record::{WorkerRecord, to_json};
use crate::store_files::StoreFiles;

pub(super) struct WorkerPresence {
    me: WorkerIdentity,
    /// How long RabbitMQ may be unreachable before the record says so.
    join_delay: Duration,
    /// The lock on the worker's name, once it has it.
    name_lock: Option<FileLock>,
    status: Arc<WorkerStatus>,
    heartbeat: u64,
    /// Since when RabbitMQ has been unreachable.
    bus_down_since: Option<BootTime>,
    /// The other workers can see this one.
    announced: bool,
    duplicate_logged: bool,
}

/// The worker's record as one heartbeat publishes it.
pub(super) struct WorkerAnnouncement {
    pub(super) record: String,
    /// The record of a dead worker of the same name, to be overwritten; empty if there is none.
    pub(super) overwrite: String,
}

impl WorkerPresence {
    pub(super) fn new(
        me: WorkerIdentity,
        join_delay: Duration,
        name_lock: Option<FileLock>,
        status: Arc<WorkerStatus>,
    ) -> Self {
        Self {
            me,
            join_delay,
            name_lock,
            status,
            heartbeat: 0,
            bus_down_since: None,
            announced: false,
            duplicate_logged: false,
        }
    }

    /// Locks the worker's name on the store, unless that is done or another process has it.
    pub(super) fn try_lock_name(&mut self, files: &StoreFiles) -> Result<(), OwnershipError> {
        if self.name_lock.is_none() {
            self.name_lock = files.lock_name(&self.me.name)?;
        }
        Ok(())
    }

    /// What the next heartbeat publishes; `None` while another worker has, or may have, the name.
    pub(super) fn announce(
        &mut self,
        observed: &ObservedFleet,
        leaving: bool,
        shards: usize,
        now: BootTime,
    ) -> Option<WorkerAnnouncement> {
        self.heartbeat += 1;
        let Some(lock) = &self.name_lock else {
            self.warn_of_duplicate();
            return None;
        };
        let lock = lock.identity().to_owned();
        let overwrite = match observed.duplicate_name(&self.me, &lock, now) {
            DuplicateName::None => String::new(),
            DuplicateName::Dead(record) => record,
            DuplicateName::Unknown => return None,
            DuplicateName::Alive => {
                self.warn_of_duplicate();
                return None;
            }
        };
        let bus = self.is_bus_reachable(now);
        let record = WorkerRecord {
            incarnation: self.me.incarnation.clone(),
            heartbeat: self.heartbeat,
            store: self.me.store.clone(),
            lock,
            bus,
            leaving,
            accounts: self.status.accounts.load(Ordering::Relaxed),
            shards,
        };
        Some(WorkerAnnouncement { record: to_json(&record), overwrite })
    }

    /// Whether the other workers can see this one.
    pub(super) fn is_announced(&self) -> bool {
        self.announced
    }

    /// Sets whether Redis has the record that the last heartbeat published.
    pub(super) fn set_announced(&mut self, announced: bool) {
        self.announced = announced;
        self.duplicate_logged &= !announced;
    }

    /// An outage shorter than the join delay does not count.
    fn is_bus_reachable(&mut self, now: BootTime) -> bool {
        let reachable = self.status.bus_reachable.load(Ordering::Relaxed);
        self.bus_down_since = (!reachable).then(|| self.bus_down_since.unwrap_or(now));
        self.bus_down_since.is_none_or(|since| now.since(since) < self.join_delay)
    }

    fn warn_of_duplicate(&mut self) {
        if !std::mem::replace(&mut self.duplicate_logged, true) {
            let name = &self.me.name;
            warn!(name, "another worker has this worker's name; waiting for it to end");
        }
    }
}
