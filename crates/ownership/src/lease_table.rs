//! Until when each shard is held: written by the lease task, read for every delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contracts::{Shard, ShardCount};

use crate::boot_time::BootTime;

/// Not held, or not watched.
const NEVER: u64 = 0;

#[derive(Debug)]
struct LeaseDeadlines {
    /// The shard is held before this moment.
    held_until: AtomicU64,
    /// It must be closed by this moment.
    closed_by: AtomicU64,
}

/// The deadlines of all shards, shared by the lease task, the watchdog and the guards.
#[derive(Debug)]
pub(crate) struct LeaseTable(Vec<LeaseDeadlines>);

impl LeaseTable {
    pub(crate) fn new(count: ShardCount) -> Arc<Self> {
        let deadlines = |_| LeaseDeadlines {
            held_until: AtomicU64::new(NEVER),
            closed_by: AtomicU64::new(NEVER),
        };
        Arc::new(Self(count.shards().map(deadlines).collect()))
    }

    /// Starts a lease. Must be called before the daemon learns of it.
    pub(crate) fn grant(&self, shard: Shard, held_until: BootTime, closed_by: BootTime) {
        let Some(deadlines) = self.deadlines(shard) else { return };
        deadlines.closed_by.store(closed_by.nanos(), Ordering::SeqCst);
        deadlines.held_until.store(held_until.nanos(), Ordering::SeqCst);
    }

    /// Starts a lease that never ends by itself.
    pub(crate) fn grant_forever(&self, shard: Shard) {
        let Some(deadlines) = self.deadlines(shard) else { return };
        deadlines.held_until.store(u64::MAX, Ordering::SeqCst);
    }

    /// Extends both deadlines, except one that has been cleared in the meantime.
    pub(crate) fn extend(&self, shard: Shard, held_until: BootTime, closed_by: BootTime) {
        let Some(deadlines) = self.deadlines(shard) else { return };
        for (deadline, to) in
            [(&deadlines.closed_by, closed_by), (&deadlines.held_until, held_until)]
        {
            let extended = |known: u64| (known != NEVER).then(|| to.nanos());
            // Fails if it was cleared: then there is nothing to extend.
            deadline.fetch_update(Ordering::SeqCst, Ordering::SeqCst, extended).ok();
        }
    }

    /// The shard is no longer held and is being closed.
    pub(crate) fn revoke(&self, shard: Shard) {
        let Some(deadlines) = self.deadlines(shard) else { return };
        deadlines.held_until.store(NEVER, Ordering::SeqCst);
    }

    /// The shard is closed.
    pub(crate) fn end(&self, shard: Shard) {
        let Some(deadlines) = self.deadlines(shard) else { return };
        deadlines.held_until.store(NEVER, Ordering::SeqCst);
        deadlines.closed_by.store(NEVER, Ordering::SeqCst);
    }

    /// Whether the shard still has to be closed.
    pub(crate) fn is_watched(&self, shard: Shard) -> bool {
        self.deadlines(shard)
            .is_some_and(|deadlines| deadlines.closed_by.load(Ordering::SeqCst) != NEVER)
    }

    pub(crate) fn holds(&self, shard: Shard) -> bool {
        let held_until = self
            .deadlines(shard)
            .map_or(NEVER, |deadlines| deadlines.held_until.load(Ordering::SeqCst));
        held_until == u64::MAX || (held_until != NEVER && BootTime::now().nanos() < held_until)
    }

    /// A shard that should have been closed by `now`.
    pub(crate) fn overdue(&self, now: BootTime) -> Option<Shard> {
        let overdue = |deadlines: &LeaseDeadlines| {
            let closed_by = deadlines.closed_by.load(Ordering::SeqCst);
            closed_by != NEVER && now.nanos() >= closed_by
        };
        let index = self.0.iter().position(overdue)?;
        u16::try_from(index).ok().map(Shard)
    }

    fn deadlines(&self, shard: Shard) -> Option<&LeaseDeadlines> {
        self.0.get(usize::from(shard.0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SHARD: Shard = Shard(1);

    fn table() -> (Arc<LeaseTable>, BootTime) {
        let table = LeaseTable::new(ShardCount::new(2).unwrap());
        let now = BootTime::now();
        table.grant(SHARD, now.after(Duration::from_mins(1)), now.after(Duration::from_mins(2)));
        (table, now)
    }

    #[test]
    fn a_shard_is_held_until_its_deadline() {
        let (table, now) = table();
        assert!(table.holds(SHARD) && !table.holds(Shard(0)) && !table.holds(Shard(9)));
        table.extend(SHARD, now, now.after(Duration::from_mins(2)));
        assert!(!table.holds(SHARD));
    }

    #[test]
    fn a_revoked_shard_is_not_held_again_and_still_has_to_be_closed_in_time() {
        let (table, now) = table();
        table.revoke(SHARD);
        let [soon, late] = [1, 9].map(|minutes| now.after(Duration::from_mins(minutes)));
        table.extend(SHARD, late, late);
        assert!(!table.holds(SHARD));
        assert_eq!((table.overdue(soon), table.overdue(late)), (None, Some(SHARD)));
    }

    #[test]
    fn a_late_renewal_does_not_revive_a_closed_shard() {
        let (table, now) = table();
        table.end(SHARD);
        let late = now.after(Duration::from_mins(9));
        table.extend(SHARD, late, late);
        assert!(!table.holds(SHARD) && !table.is_watched(SHARD));
        assert_eq!(table.overdue(late.after(Duration::from_mins(1))), None);
    }
}
