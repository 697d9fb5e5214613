//! Taking the shards that are this worker's to take.

use contracts::{Epoch, Shard};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::Lease;
use crate::boot_time::BootTime;
use crate::error::Error;
use crate::leases::held::Gain;
use crate::leases::plan::{Plan, Situation};
use crate::leases::task::{Task, watching};
use crate::record::{Record, json};
use crate::redis::Take;
use crate::rules::{Taker, may_take, next_epoch, was_clean};

/// Shards taken at once: each costs a file's way to the disk, in which nothing else is done.
const TAKEN_AT_ONCE: usize = 16;

impl Task {
    /// Does what the last look calls for.
    pub(super) async fn act(&mut self) -> Result<(), Error> {
        let gains = self.state.announced && !self.state.leaving && !self.state.stopping;
        if !gains {
            return Ok(());
        }
        let situation = Situation {
            me: &self.me,
            times: self.times,
            join_delay: self.settings.join_delay(),
            dwell: self.settings.dwell(),
            files: &self.files,
            steady: self.is_steady(),
            now: BootTime::now(),
        };
        let plan = self.planner.plan(&self.sight, &self.held, &situation);
        self.tell_of_unknown(&plan);
        if plan.comes {
            self.soon();
        }
        if plan.hand_over.is_some() {
            self.state.moving = plan.hand_over;
            self.state.next = Instant::now();
        }
        self.take(&plan.take).await
    }

    /// Takes those of `shards` whose files it can lock. The lock comes first: while this worker has
    /// it, no other on this store takes the shard.
    async fn take(&mut self, shards: &[Shard]) -> Result<(), Error> {
        let (mut asked, mut locked) = (Vec::new(), Vec::new());
        for &shard in shards {
            let Some((take, gain)) = self.prepare(shard)? else { continue };
            asked.push(take);
            locked.push(gain);
            if asked.len() == TAKEN_AT_ONCE {
                self.soon();
                break;
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let sent = BootTime::now();
        let own = match watching(&mut self.held, self.link.take(&asked)).await {
            Ok(own) => own,
            Err(error) => {
                self.note_away(&error);
                return Ok(());
            }
        };
        for mut gain in locked.into_iter().filter(|gain| own.contains(&gain.lease.shard)) {
            gain.sent = sent;
            gain.lock.write(gain.lease.epoch.0, false)?;
            // An answer that comes when the lease is nearly over is worth nothing; the record, which
            // is this worker's now, is taken once more.
            if BootTime::now() < self.times.closes_at(sent) {
                self.held.gain(gain);
            }
        }
        if own.len() < asked.len() {
            self.soon();
        }
        Ok(())
    }

    fn prepare(&mut self, shard: Shard) -> Result<Option<(Take, Gain)>, Error> {
        let Some(seen) = self.sight.shard(shard) else { return Ok(None) };
        let record = seen.record.as_ref();
        let Some(mut lock) = self.files.lock_shard(shard)? else {
            match record.filter(|record| !record.is_free()) {
                Some(record) => {
                    if BootTime::now().since(seen.since) >= self.times.wait() {
                        let owner = record.owner.clone();
                        self.tell_of_frozen(shard, &owner);
                    }
                }
                // Its last owner is just letting go of it.
                None => self.soon(),
            }
            return Ok(None);
        };
        let now = BootTime::now();
        let steady = self.is_steady();
        let taker = Taker { store: &self.me.store, lock: lock.identity(), steady };
        if !may_take(record, taker, now.since(seen.since), self.times) {
            return Ok(None);
        }
        let file = lock.read()?;
        let lease = Lease {
            shard,
            epoch: Epoch(next_epoch(record, file.0, self.clock.unix_seconds())),
            clean: was_clean(record, file),
        };
        let own = Record {
            epoch: lease.epoch.0,
            owner: self.me.owner(),
            // No two records of a shard are alike, whatever Redis has forgotten in between.
            beat: u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0),
            store: self.me.store.clone(),
            clean: false,
            lock: lock.identity().to_owned(),
        };
        let take = Take { shard, seen: seen.text.clone(), record: json(&own) };
        Ok(Some((take, Gain { lease, beat: own.beat, lock, sent: now })))
    }

    fn is_steady(&self) -> bool {
        self.link.up_since().is_some_and(|up| BootTime::now().since(up) >= self.times.wait())
    }

    fn tell_of_unknown(&mut self, plan: &Plan) {
        let told = std::mem::replace(&mut self.state.told.unknown, plan.unknown > 0);
        if plan.unknown > 0 && !told {
            info!(
                shards = plan.unknown,
                wait_s = self.times.wait().as_secs_f64(),
                "Redis knows nothing of some shards: waiting as long as an owner may live unseen"
            );
        }
    }

    fn tell_of_frozen(&mut self, shard: Shard, owner: &str) {
        if owner != self.me.owner() && self.state.told.frozen.insert(owner.to_owned()) {
            warn!(%shard, owner, "a lease is over but its owner's process still runs; waiting for it");
        }
    }
}
