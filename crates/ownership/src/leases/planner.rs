//! What to do next, given what was observed.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::Shard;

use crate::assignment::{AssignableShard, EligibleWorker, assign_shards};
use crate::boot_time::BootTime;
use crate::leases::held_shards::HeldShards;
use crate::leases::identity::WorkerIdentity;
use crate::leases::observed::{ObservedFleet, ObservedShard};
use crate::rules::{LeaseCandidate, LeaseTimes, may_acquire};
use crate::store_files::StoreFiles;

/// Computes the assignment, again only if its input has changed.
#[derive(Debug, Default)]
pub(super) struct ShardPlanner {
    shards: Vec<AssignableShard>,
    workers: Vec<EligibleWorker>,
    assigned: BTreeMap<Shard, String>,
}

/// What to do next.
#[derive(Debug, Default)]
pub(super) struct ShardPlan {
    /// Shards that this worker may acquire as soon as it has locked their files.
    pub(super) acquire: Vec<Shard>,
    /// A shard of this worker that should move, and the worker it should move to.
    pub(super) hand_over: Option<(Shard, String)>,
    /// A shard is being moved to this worker.
    pub(super) arriving: bool,
    /// How many of this worker's shards have no record yet.
    pub(super) unknown: usize,
}

/// Everything that a plan depends on.
#[derive(Clone, Copy)]
pub(super) struct PlanInput<'a> {
    pub(super) me: &'a WorkerIdentity,
    pub(super) observed: &'a ObservedFleet,
    pub(super) held: &'a HeldShards,
    pub(super) files: &'a StoreFiles,
    pub(super) times: LeaseTimes,
    /// A worker must have been in the fleet for this long before shards move to it.
    pub(super) join_delay: Duration,
    /// A shard must have stayed for this long before it moves again.
    pub(super) dwell: Duration,
    /// As in [`LeaseCandidate::redis_steady`].
    pub(super) redis_steady: bool,
    pub(super) now: BootTime,
}

impl ShardPlanner {
    pub(super) fn plan(&mut self, input: &PlanInput<'_>) -> ShardPlan {
        let observed = input.observed;
        let (shards, workers) =
            (observed.assignable_shards(), observed.eligible_workers(input.now));
        if shards != self.shards || workers != self.workers {
            self.assigned = assign_shards(&shards, &workers);
            (self.shards, self.workers) = (shards, workers);
        }
        let mut plan = ShardPlan { hand_over: self.hand_over(input), ..ShardPlan::default() };
        for (shard, seen) in observed.shards() {
            let mine = self.assigned.get(&shard) == Some(&input.me.name);
            if !mine || input.held.contains(shard) {
                continue;
            }
            if may_try_to_acquire(seen, input) {
                plan.acquire.push(shard);
            }
            plan.arriving |= observed.moving() == Some(shard);
            plan.unknown += usize::from(seen.record.is_none());
        }
        plan
    }

    /// One shard that this worker has and another should have.
    fn hand_over(&self, input: &PlanInput<'_>) -> Option<(Shard, String)> {
        let PlanInput { me, observed, now, .. } = *input;
        if observed.moving().is_some() {
            return None;
        }
        let is_usable = self.workers.iter().any(|worker| worker.name == me.name && worker.bus);
        input.held.open_shards().find_map(|(shard, since)| {
            let to = self.assigned.get(&shard).filter(|to| **to != me.name)?;
            let dwelt = now.since(since) >= input.dwell || !is_usable;
            let due = dwelt && observed.has_joined(to, input.join_delay, now);
            (due || observed.is_pinned(shard, to)).then(|| (shard, to.clone()))
        })
    }
}

/// Whether the rules will allow it, provided that the file can be locked. The lock of an owner that
/// is alive cannot be had.
fn may_try_to_acquire(seen: &ObservedShard, input: &PlanInput<'_>) -> bool {
    let record = seen.record.as_ref();
    let owner_lives = record.is_some_and(|record| {
        record.owner != input.me.owner() && input.observed.is_owner_live(&record.owner, input.now)
    });
    let lock = record.map_or("", |record| &record.lock);
    let lock = if !owner_lives && input.files.is_local(lock) { lock } else { "" };
    let redis_steady = input.redis_steady;
    let candidate = LeaseCandidate { store: &input.me.store, lock, redis_steady };
    may_acquire(record, candidate, input.now.since(seen.since), input.times)
}
