//! Until when each shard is held: written by the leases' task, read for every delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contracts::{Shard, ShardCount};

use crate::boot_time::BootTime;

/// Not held, or not watched.
const NEVER: u64 = 0;

#[derive(Debug)]
struct Slot {
    /// The shard is held before this moment.
    until: AtomicU64,
    /// It must be closed by this moment.
    ends: AtomicU64,
}

/// The moments of all shards, shared by the task, the watchdog and the guards.
#[derive(Debug)]
pub(crate) struct Tenures(Vec<Slot>);

impl Tenures {
    pub(crate) fn new(count: ShardCount) -> Arc<Self> {
        let slot = |_| Slot { until: AtomicU64::new(NEVER), ends: AtomicU64::new(NEVER) };
        Arc::new(Self(count.shards().map(slot).collect()))
    }

    /// Begins a tenure; before the shard's owner hears of it.
    pub(crate) fn begin(&self, shard: Shard, until: BootTime, ends: BootTime) {
        let Some(slot) = self.slot(shard) else { return };
        slot.ends.store(ends.nanos(), Ordering::SeqCst);
        slot.until.store(until.nanos(), Ordering::SeqCst);
    }

    /// A tenure without an end.
    pub(crate) fn begin_forever(&self, shard: Shard) {
        let Some(slot) = self.slot(shard) else { return };
        slot.until.store(u64::MAX, Ordering::SeqCst);
    }

    /// Puts both moments off, unless they have been done away with in the meantime.
    pub(crate) fn extend(&self, shard: Shard, until: BootTime, ends: BootTime) {
        let Some(slot) = self.slot(shard) else { return };
        for (moment, to) in [(&slot.ends, ends), (&slot.until, until)] {
            let later = |known: u64| (known != NEVER).then(|| to.nanos());
            // Refused when it was over; there is nothing to put off then.
            moment.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later).ok();
        }
    }

    /// The shard is not held from now on, and is being closed.
    pub(crate) fn lose(&self, shard: Shard) {
        let Some(slot) = self.slot(shard) else { return };
        slot.until.store(NEVER, Ordering::SeqCst);
    }

    /// The shard is closed.
    pub(crate) fn end(&self, shard: Shard) {
        let Some(slot) = self.slot(shard) else { return };
        slot.until.store(NEVER, Ordering::SeqCst);
        slot.ends.store(NEVER, Ordering::SeqCst);
    }

    /// Whether the shard has not been closed yet.
    pub(crate) fn is_watched(&self, shard: Shard) -> bool {
        self.slot(shard).is_some_and(|slot| slot.ends.load(Ordering::SeqCst) != NEVER)
    }

    fn holds(&self, shard: Shard) -> bool {
        let until = self.slot(shard).map_or(NEVER, |slot| slot.until.load(Ordering::SeqCst));
        until == u64::MAX || (until != NEVER && BootTime::now().nanos() < until)
    }

    /// A shard that should have been closed by `now`.
    pub(crate) fn overdue(&self, now: BootTime) -> Option<Shard> {
        let late = |slot: &Slot| {
            let ends = slot.ends.load(Ordering::SeqCst);
            ends != NEVER && now.nanos() >= ends
        };
        let index = self.0.iter().position(late)?;
        u16::try_from(index).ok().map(Shard)
    }

    fn slot(&self, shard: Shard) -> Option<&Slot> {
        self.0.get(usize::from(shard.0))
    }
}

/// Tells whether a shard is still this worker's; cheap to clone.
#[derive(Clone, Debug)]
pub struct Guard(pub(crate) Arc<Tenures>);

impl Guard {
    /// Whether the shard is held at this moment: gained, not lost, not released, and its lease's
    /// time is not nearly over. Takes no lock.
    pub fn holds(&self, shard: Shard) -> bool {
        self.0.holds(shard)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SHARD: Shard = Shard(1);

    fn tenures() -> (Arc<Tenures>, BootTime) {
        let tenures = Tenures::new(ShardCount::new(2).unwrap());
        let now = BootTime::now();
        tenures.begin(SHARD, now.after(Duration::from_mins(1)), now.after(Duration::from_mins(2)));
        (tenures, now)
    }

    #[test]
    fn a_shard_is_held_until_its_time_comes() {
        let (tenures, now) = tenures();
        assert!(tenures.holds(SHARD) && !tenures.holds(Shard(0)) && !tenures.holds(Shard(9)));
        tenures.extend(SHARD, now, now.after(Duration::from_mins(2)));
        assert!(!tenures.holds(SHARD));
    }

    #[test]
    fn what_is_lost_is_not_held_again_and_still_has_to_be_closed_in_time() {
        let (tenures, now) = tenures();
        tenures.lose(SHARD);
        let [soon, late] = [1, 9].map(|minutes| now.after(Duration::from_mins(minutes)));
        tenures.extend(SHARD, late, late);
        assert!(!tenures.holds(SHARD));
        assert_eq!((tenures.overdue(soon), tenures.overdue(late)), (None, Some(SHARD)));
    }

    #[test]
    fn what_is_closed_is_watched_no_more_whatever_answer_comes_late() {
        let (tenures, now) = tenures();
        tenures.end(SHARD);
        let late = now.after(Duration::from_mins(9));
        tenures.extend(SHARD, late, late);
        assert!(!tenures.holds(SHARD) && !tenures.is_watched(SHARD));
        assert_eq!(tenures.overdue(late.after(Duration::from_mins(1))), None);
    }
}
