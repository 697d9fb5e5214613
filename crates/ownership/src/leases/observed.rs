//! The records that this worker has seen in Redis, and for how long by its own clock.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::{Shard, ShardCount};
use tracing::warn;

use crate::assignment::{AssignableShard, EligibleWorker};
use crate::boot_time::BootTime;
use crate::leases::identity::WorkerIdentity;
use crate::record::{ShardRecord, WorkerRecord};
use crate::redis::{ForgottenWorker, HeartbeatResponse};
use crate::rules::LeaseTimes;
use crate::store_files::StoreFiles;

/// A silent worker's record is deleted after this many times the takeover wait.
const FORGOTTEN_AFTER: u32 = 100;

/// A shard's record as it was seen.
#[derive(Clone, Debug)]
pub(super) struct ObservedShard {
    /// Empty if there is no record.
    pub(super) text: String,
    /// `None` if there is no record, or it cannot be read.
    pub(super) record: Option<ShardRecord>,
    /// Unchanged since this moment.
    pub(super) since: BootTime,
}

impl ObservedShard {
    /// There is a record, but another version or a person wrote it: no worker acquires that shard.
    fn is_unreadable(&self) -> bool {
        !self.text.is_empty() && self.record.is_none()
    }
}

#[derive(Clone, Debug)]
struct ObservedWorker {
    text: String,
    record: WorkerRecord,
    /// When the incarnation was first seen.
    first_seen: BootTime,
    /// When its last heartbeat was first seen.
    since: BootTime,
    /// A new heartbeat has arrived since it was first seen.
    has_beaten: bool,
    /// A file lock has proved that its process has ended.
    dead: bool,
}

/// Another process that has, or had, this worker's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DuplicateName {
    None,
    /// It may have ended.
    Unknown,
    Alive,
    /// Holds its record, which may be overwritten.
    Dead(String),
}

#[derive(Debug)]
pub(super) struct ObservedFleet {
    times: LeaseTimes,
    count: ShardCount,
    /// Number of the connection on which all this was read.
    connection: u64,
    shards: BTreeMap<Shard, ObservedShard>,
    workers: BTreeMap<String, ObservedWorker>,
    pins: BTreeMap<Shard, String>,
    moving: Option<Shard>,
}

impl ObservedFleet {
    pub(super) fn new(times: LeaseTimes, count: ShardCount) -> Self {
        Self {
            times,
            count,
            connection: 0,
            shards: BTreeMap::new(),
            workers: BTreeMap::new(),
            pins: BTreeMap::new(),
            moving: None,
        }
    }

    /// Records what Redis answered on `connection` at `now`.
    pub(super) fn update(&mut self, response: &HeartbeatResponse, connection: u64, now: BootTime) {
        if connection != self.connection {
            // Redis may have restarted from an older state, and have lost a heartbeat that was never
            // seen here. Every wait starts again.
            self.connection = connection;
            self.shards.values_mut().for_each(|seen| seen.since = now);
            self.workers.values_mut().for_each(|seen| seen.since = now);
        }
        self.update_shards(response, now);
        self.update_workers(response, now);
        let pin = |(shard, name): (&String, &String)| Some((shard.parse().ok()?, name.clone()));
        self.pins = response.pins.iter().filter_map(pin).collect();
        self.moving = response.current_move.split(' ').next().and_then(|shard| shard.parse().ok());
    }

    fn update_shards(&mut self, response: &HeartbeatResponse, now: BootTime) {
        for shard in self.count.shards() {
            let text = response.shards.get(&shard.to_string()).map_or("", String::as_str);
            if self.shards.get(&shard).is_some_and(|seen| seen.text == text) {
                continue;
            }
            let record = serde_json::from_str(text).ok();
            let seen = ObservedShard { text: text.to_owned(), record, since: now };
            if seen.is_unreadable() {
                warn!(%shard, "a shard's record in Redis cannot be read; no worker acquires the shard");
            }
            self.shards.insert(shard, seen);
        }
    }

    fn update_workers(&mut self, response: &HeartbeatResponse, now: BootTime) {
        self.workers.retain(|name, _| response.workers.contains_key(name));
        for (name, text) in &response.workers {
            if self.workers.get(name).is_some_and(|seen| seen.text == *text) {
                continue;
            }
            let Ok(record) = serde_json::from_str::<WorkerRecord>(text) else { continue };
            let known_since = self
                .workers
                .get(name)
                .filter(|seen| seen.record.incarnation == record.incarnation)
                .map(|seen| seen.first_seen);
            let seen = ObservedWorker {
                text: text.clone(),
                record,
                first_seen: known_since.unwrap_or(now),
                since: now,
                has_beaten: known_since.is_some(),
                dead: false,
            };
            self.workers.insert(name.clone(), seen);
        }
    }

    /// Finds silent workers on this machine that have ended: those that no longer hold the file lock
    /// of a shard they own by its record.
    pub(super) fn detect_dead_workers(
        &mut self,
        files: &StoreFiles,
        me: &WorkerIdentity,
        now: BootTime,
    ) {
        for (name, worker) in &mut self.workers {
            let is_silent = now.since(worker.since) >= self.times.heartbeat_interval();
            if !is_silent || worker.dead || *name == me.name {
                continue;
            }
            let owner = format!("{name}/{}", worker.record.incarnation);
            let is_owned = |(_, seen): &(&Shard, &ObservedShard)| {
                seen.record.as_ref().is_some_and(|record| {
                    record.owner == owner
                        && record.store == me.store
                        && files.is_local(&record.lock)
                })
            };
            let Some((&shard, seen)) = self.shards.iter().find(is_owned) else { continue };
            // An error will surface when the shard is acquired.
            let Ok(Some(lock)) = files.lock_shard(shard) else { continue };
            worker.dead = seen.record.as_ref().is_some_and(|record| record.lock == lock.identity());
        }
    }

    pub(super) fn shard(&self, shard: Shard) -> Option<&ObservedShard> {
        self.shards.get(&shard)
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = (Shard, &ObservedShard)> {
        self.shards.iter().map(|(&shard, seen)| (shard, seen))
    }

    /// The shard that is being moved.
    pub(super) fn moving(&self) -> Option<Shard> {
        self.moving
    }

    pub(super) fn is_pinned(&self, shard: Shard, name: &str) -> bool {
        self.pins.get(&shard).is_some_and(|pin| pin == name)
    }

    /// Whether the worker has been in the fleet long enough for shards to move to it.
    pub(super) fn has_joined(&self, name: &str, delay: Duration, now: BootTime) -> bool {
        self.workers.get(name).is_some_and(|seen| now.since(seen.first_seen) >= delay)
    }

    /// The shards that can be assigned.
    pub(super) fn assignable_shards(&self) -> Vec<AssignableShard> {
        let readable = self.shards.iter().filter(|(_, seen)| !seen.is_unreadable());
        let assignable = |(&shard, seen): (&Shard, &ObservedShard)| AssignableShard {
            shard,
            store: seen.record.as_ref().map(|record| record.store.clone()).unwrap_or_default(),
            pin: self.pins.get(&shard).cloned(),
        };
        readable.map(assignable).collect()
    }

    /// Whether that process is alive, as far as is known. `owner` is `name/incarnation`.
    pub(super) fn is_owner_live(&self, owner: &str, now: BootTime) -> bool {
        let (name, incarnation) = owner.split_once('/').unwrap_or((owner, ""));
        let known = self.workers.get(name);
        known.is_some_and(|seen| seen.record.incarnation == incarnation && self.is_live(seen, now))
    }

    fn is_live(&self, seen: &ObservedWorker, now: BootTime) -> bool {
        !seen.dead && now.since(seen.since) < self.times.takeover_wait()
    }

    /// The workers that are alive and not leaving, as far as is known.
    pub(super) fn eligible_workers(&self, now: BootTime) -> Vec<EligibleWorker> {
        let live = |seen: &ObservedWorker| self.is_live(seen, now);
        let staying = self.workers.iter().filter(|(_, seen)| live(seen) && !seen.record.leaving);
        let eligible = |(name, seen): (&String, &ObservedWorker)| EligibleWorker {
            name: name.clone(),
            store: seen.record.store.clone(),
            bus: seen.record.bus,
        };
        staying.map(eligible).collect()
    }

    /// Workers that have been silent for so long that their records are to be deleted.
    pub(super) fn forgotten_workers(&self, now: BootTime) -> Vec<ForgottenWorker> {
        let limit = self.times.takeover_wait() * FORGOTTEN_AFTER;
        let old = self.workers.iter().filter(|(_, seen)| now.since(seen.since) >= limit);
        old.map(|(name, seen)| ForgottenWorker { name: name.clone(), record: seen.text.clone() })
            .collect()
    }

    /// Whether another process has this worker's name. `lock` is the identity of the name's lock,
    /// which this worker holds.
    pub(super) fn duplicate_name(
        &self,
        me: &WorkerIdentity,
        lock: &str,
        now: BootTime,
    ) -> DuplicateName {
        let known = self.workers.get(&me.name);
        let Some(seen) = known.filter(|seen| seen.record.incarnation != me.incarnation) else {
            return DuplicateName::None;
        };
        let proven = !lock.is_empty() && seen.record.lock == lock;
        if proven || now.since(seen.since) >= self.times.takeover_wait() {
            DuplicateName::Dead(seen.text.clone())
        } else if seen.has_beaten {
            DuplicateName::Alive
        } else {
            DuplicateName::Unknown
        }
    }
}
