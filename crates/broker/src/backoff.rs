use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses between attempts: each twice the one before, up to 5 s, and spread so that a fleet does
/// not come back in step.
#[derive(Default)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next pause: between half of its full length and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.attempts.min(6)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        let random = RandomState::new().build_hasher().finish() % 1024;
        let share = u32::try_from(random).unwrap_or(0);
        full / 2 + full / 2 * share / 1024
    }

    /// The last attempt began well, at `since`, and failed now. Only what stood for a while makes
    /// the pauses short again: what fails at once must not be tried without end.
    pub(crate) fn began(&mut self, since: Instant) {
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
    async fn only_what_stood_for_a_while_makes_pauses_short_again() {
        let mut backoff = Backoff { attempts: 6 };
        let since = Instant::now();
        backoff.began(since);
        assert!(LONGEST / 2 <= backoff.next());
        tokio::time::advance(LONGEST * 2).await;
        backoff.began(since);
        assert!(backoff.next() <= FIRST);
    }
}
