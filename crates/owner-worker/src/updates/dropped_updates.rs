use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// Shortest time between two log lines about dropped updates.
const INTERVAL: Duration = Duration::from_mins(1);

/// Counts the transient updates that were dropped, for at most one log line a minute for all accounts.
#[derive(Debug, Default)]
pub(crate) struct DroppedUpdates(Mutex<DropCounter>);

#[derive(Debug, Default)]
struct DropCounter {
    count: u64,
    /// When the first of these was dropped.
    since: Option<Instant>,
    /// When they were last logged.
    logged: Option<Instant>,
}

impl DroppedUpdates {
    /// Counts one.
    pub(crate) fn count(&self) {
        self.with(DropCounter::count);
    }

    /// Logs those that were not logged yet, now that the log is back.
    pub(crate) fn end(&self) {
        self.with(DropCounter::end);
    }

    fn with(&self, step: impl FnOnce(&mut DropCounter, Instant) -> Option<u64>) {
        let dropped = step(&mut runtime::lock(&self.0), Instant::now());
        if let Some(dropped) = dropped {
            warn!(dropped, "transient updates dropped: the event log is down or far behind");
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
        let due = self.logged.is_none_or(|logged| now.duration_since(logged) >= INTERVAL);
        (due && self.count > 0).then(|| self.take(now))
    }

    /// How many to log; counting starts again.
    fn take(&mut self, now: Instant) -> u64 {
        let counted = std::mem::replace(self, Self { logged: Some(now), ..Self::default() });
        counted.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_logged_once_a_minute_at_most_and_none_is_forgotten() {
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
