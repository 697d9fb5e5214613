//! How fast an account's commands leave for Telegram.

use std::time::Duration;

use settings::PacingSettings;
use tokio::time::Instant;

use crate::commands::{Traffic, TrafficClass};

/// An account's token buckets, one for each class of commands.
pub(super) struct Pacing {
    reads: TokenBucket,
    writes: TokenBucket,
    sends: TokenBucket,
    logins: TokenBucket,
    /// How many reads may be in flight.
    reads_in_flight: usize,
}

impl Pacing {
    pub(super) fn new(settings: &PacingSettings) -> Self {
        Self {
            reads: TokenBucket::new(settings.reads_per_minute, settings.reads_burst),
            writes: TokenBucket::new(settings.writes_per_minute, settings.writes_burst),
            sends: TokenBucket::new(settings.sends_per_minute, settings.sends_burst),
            logins: TokenBucket::new(settings.logins_per_minute, settings.logins_burst),
            reads_in_flight: usize::try_from(settings.reads_in_flight).unwrap_or(usize::MAX),
        }
    }

    /// Whether another read may be in flight beside this many.
    pub(super) fn has_room(&self, reads_in_flight: usize) -> bool {
        reads_in_flight < self.reads_in_flight
    }

    /// Lets a command leave. If it may not leave yet, says when it may; nothing has changed then.
    pub(super) fn admit(&mut self, traffic: Traffic, now: Instant) -> Result<(), Instant> {
        let bucket = match traffic.class {
            TrafficClass::Reads => &mut self.reads,
            TrafficClass::Writes => &mut self.writes,
            TrafficClass::Sends => &mut self.sends,
            TrafficClass::Logins => &mut self.logins,
        };
        bucket.take(traffic.calls, now)
    }
}

/// A token bucket: full at first, and filled at a steady rate.
struct TokenBucket {
    /// How long one token takes.
    interval: Duration,
    burst: u32,
    /// When it is full again; it is full if that has passed or was never set.
    full_at: Option<Instant>,
}

impl TokenBucket {
    fn new(per_minute: u32, burst: u32) -> Self {
        let burst = burst.max(1);
        Self { interval: Duration::from_mins(1) / per_minute.max(1), burst, full_at: None }
    }

    /// Takes tokens, at most as many as the bucket can hold. If they are not there, returns when
    /// they will be.
    fn take(&mut self, tokens: u32, now: Instant) -> Result<(), Instant> {
        let missing = self.full_at.map_or(Duration::ZERO, |full| full.duration_since(now));
        let missing = missing + self.interval * tokens.min(self.burst);
        match missing.checked_sub(self.interval * self.burst) {
            None | Some(Duration::ZERO) => {
                self.full_at = Some(now + missing);
                Ok(())
            }
            Some(wait) => Err(now + wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A bucket whose clock the test moves.
    struct Case {
        bucket: TokenBucket,
        now: Instant,
    }

    impl Case {
        fn new(per_minute: u32, burst: u32) -> Self {
            Self { bucket: TokenBucket::new(per_minute, burst), now: Instant::now() }
        }

        /// Takes tokens; on failure, how long they are still missing.
        fn take(&mut self, tokens: u32) -> Result<(), Duration> {
            self.bucket.take(tokens, self.now).map_err(|at| at - self.now)
        }
    }

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let mut case = Case::new(60, 3);
        for _ in 0..3 {
            assert_eq!(case.take(1), Ok(()));
        }
        assert_eq!(case.take(1), Err(ms(1000)));
        case.now += ms(400);
        assert_eq!(case.take(1), Err(ms(600)), "asking costs nothing");
        case.now += ms(600);
        assert_eq!(case.take(1), Ok(()));
        assert_eq!(case.take(1), Err(ms(1000)));
    }

    #[test]
    fn a_bucket_never_holds_more_than_its_burst() {
        let mut case = Case::new(60, 3);
        assert_eq!(case.take(2), Ok(()));
        case.now += Duration::from_hours(1);
        assert_eq!(case.take(3), Ok(()));
        assert_eq!(case.take(1), Err(ms(1000)));
    }

    #[test]
    fn a_command_of_more_calls_than_a_burst_takes_a_full_bucket() {
        let mut case = Case::new(60, 3);
        assert_eq!(case.take(100), Ok(()));
        assert_eq!(case.take(100), Err(ms(3000)));
        case.now += ms(3000);
        assert_eq!(case.take(100), Ok(()));
    }

    #[test]
    fn each_class_has_a_bucket_of_its_own() {
        let one = PacingSettings { reads_burst: 1, sends_burst: 1, ..PacingSettings::default() };
        let mut pacing = Pacing::new(&one);
        let mut admit = |class| pacing.admit(Traffic { class, calls: 1 }, Instant::now()).is_ok();
        assert!(admit(TrafficClass::Reads) && !admit(TrafficClass::Reads));
        assert!(admit(TrafficClass::Sends) && !admit(TrafficClass::Sends));
        assert!(admit(TrafficClass::Writes) && admit(TrafficClass::Writes));
        assert!(admit(TrafficClass::Logins) && admit(TrafficClass::Logins));
    }
}
