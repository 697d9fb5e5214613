use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses between attempts: doubling up to 5 s, with jitter so that a fleet does not reconnect in
/// step.
#[derive(Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next pause: between half its full length and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.attempts.min(6)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        let random = RandomState::new().build_hasher().finish() % 1024;
        let share = u32::try_from(random).unwrap_or(0);
        full / 2 + full / 2 * share / 1024
    }

    /// An attempt that succeeded at `since` has failed now. The pauses start over only if it lasted
    /// longer than the longest pause: what fails at once must not be retried at full speed.
    pub(crate) fn failed_after(&mut self, since: Instant) {
        if LONGEST < since.elapsed() {
            self.attempts = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_seconds() {
        let mut backoff = Backoff::default();
        for full_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let full = Duration::from_millis(full_ms);
            let pause = backoff.next();
            assert!((full / 2..=full).contains(&pause), "{pause:?} of {full:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_start_over_only_after_a_lasting_success() {
        let mut backoff = Backoff { attempts: 6 };
        let since = Instant::now();
        backoff.failed_after(since);
        assert!(LONGEST / 2 <= backoff.next());
        tokio::time::advance(LONGEST * 2).await;
        backoff.failed_after(since);
        assert!(backoff.next() <= FIRST);
    }
}
