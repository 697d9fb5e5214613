use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// Delays between attempts: each twice the one before, up to a limit.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    jitter: bool,
    attempts: u32,
}

impl Backoff {
    /// Delays from `first` up to `longest`, each shortened by up to half at random, so that the
    /// processes of a fleet do not retry in step.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, jitter: true, attempts: 0 }
    }

    /// Delays from `first` up to `longest`, without jitter.
    pub fn exact(first: Duration, longest: Duration) -> Self {
        Self { jitter: false, ..Self::new(first, longest) }
    }

    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.attempts.min(16)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        if self.jitter { full / 2 + full / 2 * random_share() / 1024 } else { full }
    }

    /// Starts again at the first delay.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Starts again at the first delay if what began at `since`, and has failed now, lasted longer
    /// than the longest delay. What fails at once must not be retried in a tight loop.
    pub fn reset_if_stable(&mut self, since: Instant) {
        if self.longest < since.elapsed() {
            self.reset();
        }
    }
}

/// A random number below 1024. A new `RandomState` hashes with random keys: the standard library's
/// own source of randomness.
fn random_share() -> u32 {
    u32::try_from(RandomState::new().hash_one(()) % 1024).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_lose_at_most_half() {
        let ms = Duration::from_millis;
        for (first, longest) in [(ms(100), ms(5000)), (ms(50), ms(2000))] {
            let mut backoff = Backoff::new(first, longest);
            for attempts in 0..20 {
                let full = first.saturating_mul(1 << attempts.min(16)).min(longest);
                let delay = backoff.next_delay();
                assert!((full / 2..=full).contains(&delay), "{attempts}: {delay:?} of {full:?}");
            }
        }
    }

    #[test]
    fn exact_delays_have_no_jitter() {
        let mut backoff = Backoff::exact(Duration::from_secs(1), Duration::from_mins(1));
        let delays: Vec<_> = (0..8).map(|_| backoff.next_delay().as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_stable_attempt_resets_the_delay() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff { attempts: 6, ..Backoff::new(first, longest) };
        let since = Instant::now();
        backoff.reset_if_stable(since);
        assert!(longest / 2 <= backoff.next_delay());
        tokio::time::advance(longest * 2).await;
        backoff.reset_if_stable(since);
        assert!(backoff.next_delay() <= first);
    }
}
