//! The shards that this worker has: renewing, losing and releasing them.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::Shard;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::boot_time::BootTime;
use crate::error::Error;
use crate::files::ShardFile;
use crate::guard::Tenures;
use crate::leases::Identity;
use crate::record::Record;
use crate::redis::Write;
use crate::rules::Times;
use crate::{Change, Lease};

/// How far a shard has come on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// It is being handed over.
    Asked,
    /// It is being closed. The lease is renewed all the same, as long as it can be.
    Lost,
    /// Somebody else has it.
    Taken,
}

#[derive(Debug)]
struct Holding {
    epoch: u64,
    beat: u64,
    lock: ShardFile,
    gained: BootTime,
    /// When the last renewal that counts was sent.
    sent: BootTime,
    phase: Phase,
}

/// A shard that is closed and whose record does not say so yet.
#[derive(Debug)]
struct Closed {
    epoch: u64,
    beat: u64,
    clean: bool,
    /// Kept until the record is free: then nobody who looks at locks takes this worker for dead.
    lock: Option<ShardFile>,
    /// Of that lock.
    identity: String,
}

pub(crate) struct Held {
    me: Identity,
    times: Times,
    tenures: Arc<Tenures>,
    changes: mpsc::UnboundedSender<Result<Change, Error>>,
    open: BTreeMap<Shard, Holding>,
    closed: BTreeMap<Shard, Closed>,
}

/// A shard that was taken.
pub(crate) struct Gain {
    pub(crate) lease: Lease,
    /// In its record.
    pub(crate) beat: u64,
    pub(crate) lock: ShardFile,
    /// When the taking was sent.
    pub(crate) sent: BootTime,
}

impl Held {
    pub(crate) fn new(
        me: Identity,
        times: Times,
        tenures: Arc<Tenures>,
        changes: mpsc::UnboundedSender<Result<Change, Error>>,
    ) -> Self {
        Self { me, times, tenures, changes, open: BTreeMap::new(), closed: BTreeMap::new() }
    }

    /// Shards held, those that are being closed among them.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn has(&self, shard: Shard) -> bool {
        self.open.contains_key(&shard) || self.closed.contains_key(&shard)
    }

    /// Shards that are held and stay so, with the moment when they were gained.
    pub(crate) fn settled(&self) -> impl Iterator<Item = (Shard, BootTime)> {
        let open = self.open.iter().filter(|(_, holding)| holding.phase == Phase::Open);
        open.map(|(&shard, holding)| (shard, holding.gained))
    }

    pub(crate) fn gain(&mut self, gain: Gain) {
        let Gain { lease, beat, lock, sent } = gain;
        self.tenures.begin(lease.shard, self.times.closes_at(sent), self.times.ends_at(sent));
        let gained = BootTime::now();
        let epoch = lease.epoch.0;
        self.open
            .insert(lease.shard, Holding { epoch, beat, lock, gained, sent, phase: Phase::Open });
        info!(shard = %lease.shard, epoch, clean = lease.clean, "shard gained");
        self.tell(Change::Gained(lease));
    }

    /// The renewals that are due.
    pub(crate) fn renewals(&mut self, now: BootTime) -> Vec<Write> {
        // Half a look early, so that none comes a whole look late.
        let due = self.times.renewal().saturating_sub(self.times.look() / 2);
        let mut writes = Vec::new();
        for (shard, holding) in &mut self.open {
            if holding.phase == Phase::Taken || now.since(holding.sent) < due {
                continue;
            }
            holding.beat += 1;
            let record = Record {
                epoch: holding.epoch,
                owner: self.me.owner(),
                beat: holding.beat,
                store: self.me.store.clone(),
                clean: false,
                lock: holding.lock.identity().to_owned(),
            };
            writes.push(self.me.write(*shard, &record));
        }
        writes
    }

    /// What was renewed by a request sent at `sent`, all but `lost`.
    pub(crate) fn renewed(&mut self, renewals: &[Write], lost: &[String], sent: BootTime) {
        for write in renewals {
            let Ok(shard) = write.shard.parse() else { continue };
            if lost.contains(&write.shard) {
                self.lose(shard, Phase::Taken);
            } else if let Some(holding) = self.open.get_mut(&shard) {
                holding.sent = sent;
                let (until, ends) = (self.times.closes_at(sent), self.times.ends_at(sent));
                self.tenures.extend(shard, until, ends);
            }
        }
    }

    /// When the next shard is lost for want of a renewal.
    pub(crate) fn next_loss(&self) -> Option<BootTime> {
        let open = self.open.values().filter(|holding| holding.phase < Phase::Lost);
        open.map(|holding| self.times.closes_at(holding.sent)).min()
    }

    /// Tells of every shard whose lease is nearly over.
    pub(crate) fn lose_late(&mut self, now: BootTime) {
        let late = |holding: &Holding| {
            holding.phase < Phase::Lost && now >= self.times.closes_at(holding.sent)
        };
        let late: Vec<Shard> = self
            .open
            .iter()
            .filter(|(_, holding)| late(holding))
            .map(|(&shard, _)| shard)
            .collect();
        for shard in late {
            self.lose(shard, Phase::Lost);
        }
    }

    fn lose(&mut self, shard: Shard, phase: Phase) {
        let Some(holding) = self.open.get_mut(&shard) else { return };
        let told = holding.phase >= Phase::Lost;
        holding.phase = holding.phase.max(phase);
        self.tenures.lose(shard);
        // A shard whose release is on its way here is not lost any more.
        if !told && self.tenures.is_watched(shard) {
            let taken = phase == Phase::Taken;
            warn!(%shard, taken, "a shard's lease is lost; closing its accounts");
            self.tell(Change::Lost(shard));
        }
    }

    /// Asks for a shard to be handed over.
    pub(crate) fn ask(&mut self, shard: Shard, to: &str) {
        let Some(holding) = self.open.get_mut(&shard) else { return };
        if holding.phase == Phase::Open && self.tenures.is_watched(shard) {
            holding.phase = Phase::Asked;
            info!(%shard, to, "handing a shard over");
            self.tell(Change::Asked(shard));
        }
    }

    /// The daemon has closed the shard.
    pub(crate) fn close(&mut self, shard: Shard, clean: bool) {
        let Some(mut holding) = self.open.remove(&shard) else { return };
        // First of all: whatever happens to the record, the file tells the next owner.
        if let Err(error) = holding.lock.write(holding.epoch, clean) {
            warn!(%shard, error = runtime::error_chain(&error), "a shard's end cannot be noted");
        }
        let Holding { epoch, beat, lock, .. } = holding;
        debug!(%shard, epoch, clean, "shard released");
        let identity = lock.identity().to_owned();
        self.closed.insert(shard, Closed { epoch, beat, clean, lock: Some(lock), identity });
    }

    /// The records to be freed.
    pub(crate) fn frees(&self) -> Vec<Write> {
        let free = |(&shard, closed): (&Shard, &Closed)| {
            let record = Record {
                epoch: closed.epoch,
                beat: closed.beat + 1,
                owner: String::new(),
                store: self.me.store.clone(),
                clean: closed.clean,
                lock: closed.identity.clone(),
            };
            self.me.write(shard, &record)
        };
        self.closed.iter().map(free).collect()
    }

    /// The records of all that was closed are free.
    pub(crate) fn freed(&mut self) {
        self.closed.clear();
    }

    /// Redis cannot be told now; the locks are let go none the less.
    pub(crate) fn unlock_closed(&mut self) {
        self.closed.values_mut().for_each(|closed| closed.lock = None);
    }

    /// Tells that no more shards can be taken.
    pub(crate) fn fail(&self, error: Error) {
        // As below.
        self.changes.send(Err(error)).ok();
    }

    fn tell(&self, change: Change) {
        // A daemon that is gone needs to hear nothing.
        self.changes.send(Ok(change)).ok();
    }
}
