//! What this worker has seen in Redis, and for how long by its own clock.

use std::collections::BTreeMap;

use contracts::{Shard, ShardCount};
use tracing::warn;

use crate::assignment::{Member, Place};
use crate::boot_time::BootTime;
use crate::files::Files;
use crate::leases::Identity;
use crate::record::{Record, WorkerRecord};
use crate::redis::{Answer, Forget};
use crate::rules::Times;

/// After so many times the wait for a silent worker its record is taken away.
const FORGOTTEN_AFTER: u32 = 100;

/// A shard's record as it was seen.
#[derive(Clone, Debug)]
pub(crate) struct SeenShard {
    /// Empty when there is none.
    pub(crate) text: String,
    /// `None` when there is none, and when it cannot be read.
    pub(crate) record: Option<Record>,
    /// First seen so, and ever since.
    pub(crate) since: BootTime,
}

impl SeenShard {
    /// There is a record that another version wrote, or somebody's hand: nobody takes that shard.
    fn is_unreadable(&self) -> bool {
        !self.text.is_empty() && self.record.is_none()
    }
}

#[derive(Clone, Debug)]
struct SeenWorker {
    text: String,
    record: WorkerRecord,
    /// The incarnation was first seen.
    first: BootTime,
    /// First seen with this beat, and ever since.
    since: BootTime,
    /// It has beaten while this worker looked.
    beats: bool,
    /// Its process has ended: a file lock told.
    gone: bool,
}

#[derive(Debug)]
pub(crate) struct Sight {
    times: Times,
    count: ShardCount,
    connection: u64,
    shards: BTreeMap<Shard, SeenShard>,
    workers: BTreeMap<String, SeenWorker>,
    pins: BTreeMap<Shard, String>,
    moving: Option<Shard>,
}

impl Sight {
    pub(crate) fn new(times: Times, count: ShardCount) -> Self {
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

    /// Takes in what `connection` answered at `now`.
    pub(crate) fn look(&mut self, answer: &Answer, connection: u64, now: BootTime) {
        if connection != self.connection {
            // Redis may have gone back to what it had a while ago: a beat may have been lost that
            // was never seen here. Every wait begins anew.
            self.connection = connection;
            self.shards.values_mut().for_each(|seen| seen.since = now);
            self.workers.values_mut().for_each(|seen| seen.since = now);
        }
        self.look_at_shards(answer, now);
        self.look_at_workers(answer, now);
        let pin = |(shard, name): (&String, &String)| Some((shard.parse().ok()?, name.clone()));
        self.pins = answer.pins.iter().filter_map(pin).collect();
        self.moving = answer.moves.split(' ').next().and_then(|shard| shard.parse().ok());
    }

    fn look_at_shards(&mut self, answer: &Answer, now: BootTime) {
        for shard in self.count.shards() {
            let text = answer.shards.get(&shard.to_string()).map_or("", String::as_str);
            if self.shards.get(&shard).is_some_and(|seen| seen.text == text) {
                continue;
            }
            let record = serde_json::from_str(text).ok();
            let seen = SeenShard { text: text.to_owned(), record, since: now };
            if seen.is_unreadable() {
                warn!(%shard, "a shard's record in Redis cannot be read; nobody takes the shard");
            }
            self.shards.insert(shard, seen);
        }
    }

    fn look_at_workers(&mut self, answer: &Answer, now: BootTime) {
        self.workers.retain(|name, _| answer.workers.contains_key(name));
        for (name, text) in &answer.workers {
            if self.workers.get(name).is_some_and(|seen| seen.text == *text) {
                continue;
            }
            let Ok(record) = serde_json::from_str::<WorkerRecord>(text) else { continue };
            let same = self
                .workers
                .get(name)
                .filter(|seen| seen.record.incarnation == record.incarnation)
                .map(|seen| seen.first);
            let seen = SeenWorker {
                text: text.clone(),
                record,
                first: same.unwrap_or(now),
                since: now,
                beats: same.is_some(),
                gone: false,
            };
            self.workers.insert(name.clone(), seen);
        }
    }

    /// Finds out which silent workers on this machine have ended, by the lock of a shard that their
    /// record says they own.
    pub(crate) fn probe(&mut self, files: &Files, me: &Identity, now: BootTime) {
        for (name, worker) in &mut self.workers {
            let beats = now.since(worker.since) < self.times.look();
            if beats || worker.gone || *name == me.name {
                continue;
            }
            let owner = format!("{name}/{}", worker.record.incarnation);
            let of_worker = |(_, seen): &(&Shard, &SeenShard)| {
                seen.record.as_ref().is_some_and(|record| {
                    record.owner == owner
                        && record.store == me.store
                        && files.is_local(&record.lock)
                })
            };
            let Some((&shard, seen)) = self.shards.iter().find(of_worker) else { continue };
            // An error will show when the shard is to be taken.
            let Ok(Some(lock)) = files.lock_shard(shard) else { continue };
            worker.gone = seen.record.as_ref().is_some_and(|record| record.lock == lock.identity());
        }
    }

    pub(crate) fn shard(&self, shard: Shard) -> Option<&SeenShard> {
        self.shards.get(&shard)
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = (Shard, &SeenShard)> {
        self.shards.iter().map(|(&shard, seen)| (shard, seen))
    }

    pub(crate) fn moving(&self) -> Option<Shard> {
        self.moving
    }

    pub(crate) fn is_pinned(&self, shard: Shard, name: &str) -> bool {
        self.pins.get(&shard).is_some_and(|pin| pin == name)
    }

    /// Whether the worker has been there long enough for shards to move to it.
    pub(crate) fn has_joined(&self, name: &str, delay: std::time::Duration, now: BootTime) -> bool {
        self.workers.get(name).is_some_and(|seen| now.since(seen.first) >= delay)
    }

    /// The shards that can be given to somebody.
    pub(crate) fn places(&self) -> Vec<Place> {
        let readable = self.shards.iter().filter(|(_, seen)| !seen.is_unreadable());
        let place = |(&shard, seen): (&Shard, &SeenShard)| Place {
            shard,
            store: seen.record.as_ref().map(|record| record.store.clone()).unwrap_or_default(),
            pin: self.pins.get(&shard).cloned(),
        };
        readable.map(place).collect()
    }

    /// Whether that very process lives, as far as can be told.
    pub(crate) fn lives(&self, owner: &str, now: BootTime) -> bool {
        let (name, incarnation) = owner.split_once('/').unwrap_or((owner, ""));
        let known = self.workers.get(name);
        known.is_some_and(|seen| seen.record.incarnation == incarnation && self.is_live(seen, now))
    }

    fn is_live(&self, seen: &SeenWorker, now: BootTime) -> bool {
        !seen.gone && now.since(seen.since) < self.times.wait()
    }

    /// The workers that live and stay, as far as can be told.
    pub(crate) fn members(&self, now: BootTime) -> Vec<Member> {
        let live = |seen: &SeenWorker| self.is_live(seen, now);
        let staying = self.workers.iter().filter(|(_, seen)| live(seen) && !seen.record.leaving);
        let member = |(name, seen): (&String, &SeenWorker)| Member {
            name: name.clone(),
            store: seen.record.store.clone(),
            bus: seen.record.bus,
        };
        staying.map(member).collect()
    }

    /// Workers that have been silent for so long that nobody wants to read of them.
    pub(crate) fn forgotten(&self, now: BootTime) -> Vec<Forget> {
        let limit = self.times.wait() * FORGOTTEN_AFTER;
        let old = self.workers.iter().filter(|(_, seen)| now.since(seen.since) >= limit);
        old.map(|(name, seen)| Forget { name: name.clone(), record: seen.text.clone() }).collect()
    }

    /// Who has this worker's name.
    pub(crate) fn namesake(&self, me: &Identity, lock: &str, now: BootTime) -> Namesake {
        let known = self.workers.get(&me.name);
        let Some(seen) = known.filter(|seen| seen.record.incarnation != me.incarnation) else {
            return Namesake::None;
        };
        let proven = !lock.is_empty() && seen.record.lock == lock;
        if proven || now.since(seen.since) >= self.times.wait() {
            Namesake::Dead(seen.text.clone())
        } else if seen.beats {
            Namesake::Alive
        } else {
            Namesake::Unsure
        }
    }
}

/// Another process that goes, or went, by this worker's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Namesake {
    None,
    /// It may have ended.
    Unsure,
    Alive,
    /// Its record, which may be written over.
    Dead(String),
}
