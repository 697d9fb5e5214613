use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// The shortest time between two lines about dropped updates.
const INTERVAL: Duration = Duration::from_mins(1);

/// Counts the passing updates that were dropped, for one line of all accounts a minute at most.
#[derive(Debug, Default)]
pub(crate) struct DroppedUpdates(Mutex<DropCounter>);

#[derive(Debug, Default)]
struct DropCounter {
    count: u64,
    /// When the first of these was dropped.
    since: Option<Instant>,
    /// When they were last told of.
    told: Option<Instant>,
}

impl DroppedUpdates {
    /// Counts one.
    pub(crate) fn count(&self) {
        self.with(DropCounter::count);
    }

    /// Tells of those that were not told of yet, now that the log is back.
    pub(crate) fn end(&self) {
        self.with(DropCounter::end);
    }

    fn with(&self, step: impl FnOnce(&mut DropCounter, Instant) -> Option<u64>) {
        let dropped =
            step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        if let Some(dropped) = dropped {
            warn!(dropped, "passing updates are dropped: the event log is away or far behind");
        }
    }
}

impl DropCounter {
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        let since = *self.since.get_or_insert(now);
        (now.duration_since(since) >= INTERVAL).then(|| self.take(now))
    }

    fn end(&mut self, now: Instant) -> Option<u64> {
        let due = self.told.is_none_or(|told| now.duration_since(told) >= INTERVAL);
        (due && self.count > 0).then(|| self.take(now))
    }

    /// How many are to be told of; counting begins anew.
    fn take(&mut self, now: Instant) -> u64 {
        let counted = std::mem::replace(self, Self { told: Some(now), ..Self::default() });
        counted.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_told_once_a_minute_at_most_and_none_is_forgotten() {
        let mut tally = DropCounter::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(tally.end(at(0)), None);
        assert_eq!(tally.count(at(0)), None);
        assert_eq!(tally.count(at(59)), None);
        assert_eq!(tally.count(at(60)), Some(3));
        assert_eq!(tally.count(at(61)), None);
        assert_eq!(tally.end(at(62)), None, "a minute has not passed");
        assert_eq!(tally.count(at(121)), Some(2));
        assert_eq!(tally.count(at(122)), None);
        assert_eq!(tally.end(at(200)), Some(1));
        assert_eq!(tally.end(at(300)), None);
    }
}
