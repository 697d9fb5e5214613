//! What to do next, by what was seen.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::Shard;

use crate::assignment::{Member, Place, assign};
use crate::boot_time::BootTime;
use crate::files::Files;
use crate::leases::Identity;
use crate::leases::held::Held;
use crate::leases::sight::{SeenShard, Sight};
use crate::rules::{Taker, Times, may_take};

/// Reckons the assignment, again only when something has changed.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    places: Vec<Place>,
    members: Vec<Member>,
    assigned: BTreeMap<Shard, String>,
}

/// What to do next.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Shards that are this worker's to take, as soon as it has their file's lock.
    pub(crate) take: Vec<Shard>,
    /// A shard of this worker that should move, and where to.
    pub(crate) hand_over: Option<(Shard, String)>,
    /// A shard is about to come from another worker.
    pub(crate) comes: bool,
    /// Shards without a record are waited for.
    pub(crate) unknown: usize,
}

/// By whom and when.
#[derive(Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub(crate) me: &'a Identity,
    pub(crate) times: Times,
    pub(crate) join_delay: Duration,
    pub(crate) dwell: Duration,
    pub(crate) files: &'a Files,
    /// Redis has been up for long.
    pub(crate) steady: bool,
    pub(crate) now: BootTime,
}

impl Planner {
    pub(crate) fn plan(&mut self, sight: &Sight, held: &Held, at: &Situation<'_>) -> Plan {
        let (places, members) = (sight.places(), sight.members(at.now));
        if places != self.places || members != self.members {
            self.assigned = assign(&places, &members);
            (self.places, self.members) = (places, members);
        }
        let mut plan = Plan { hand_over: self.hand_over(sight, held, at), ..Plan::default() };
        for (shard, seen) in sight.shards() {
            let mine = self.assigned.get(&shard) == Some(&at.me.name);
            if !mine || held.has(shard) {
                continue;
            }
            let lives = seen.record.as_ref().is_some_and(|record| {
                record.owner != at.me.owner() && sight.lives(&record.owner, at.now)
            });
            if may_be_taken(seen, lives, at) {
                plan.take.push(shard);
            }
            plan.comes |= sight.moving() == Some(shard);
            plan.unknown += usize::from(seen.record.is_none());
        }
        plan
    }

    /// One shard that this worker has and another should have.
    fn hand_over(&self, sight: &Sight, held: &Held, at: &Situation<'_>) -> Option<(Shard, String)> {
        if sight.moving().is_some() {
            return None;
        }
        let bus = |name: &str| self.members.iter().any(|member| member.name == name && member.bus);
        let hurries = !bus(&at.me.name);
        held.settled().find_map(|(shard, gained)| {
            let to = self.assigned.get(&shard).filter(|to| **to != at.me.name)?;
            let dwelt = at.now.since(gained) >= at.dwell || hurries;
            let due = dwelt && sight.has_joined(to, at.join_delay, at.now);
            (due || sight.is_pinned(shard, to)).then(|| (shard, to.clone()))
        })
    }
}

/// Whether it may be taken, if its file's lock can be had. That of an owner who lives cannot.
fn may_be_taken(seen: &SeenShard, lives: bool, at: &Situation<'_>) -> bool {
    let record = seen.record.as_ref();
    let lock = record.map_or("", |record| &record.lock);
    let lock = if !lives && at.files.is_local(lock) { lock } else { "" };
    let taker = Taker { store: &at.me.store, lock, steady: at.steady };
    may_take(record, taker, at.now.since(seen.since), at.times)
}
