//! How long to wait before the next try.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const CAP: Duration = Duration::from_secs(2);

/// Delays that double from 50 ms up to 2 s, each shortened by up to half at random so that many
/// workers do not come back at the same moment.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next delay.
    pub(crate) fn delay(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.tries.min(16)).min(CAP);
        self.tries += 1;
        // A fresh RandomState hashes with random keys: the standard library's own randomness.
        let per_mille = RandomState::new().hash_one(self.tries) % 500;
        full.mul_f64(1.0 - f64::from(u16::try_from(per_mille).unwrap_or(0)) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_two_seconds() {
        let mut backoff = Backoff::default();
        for tries in 0..20 {
            let full = FIRST.saturating_mul(1 << tries.min(16)).min(CAP);
            let delay = backoff.delay();
            assert!((full / 2..=full).contains(&delay), "{tries}: {delay:?}");
        }
    }
}
