use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The sandbox's clock: the system clock plus an offset that a test can set. Also the source of
/// message ids, which must derive from the time and increase.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_s: AtomicI64,
    last_message_id: AtomicI64,
}

/// Kind of a server message, in the two lowest bits of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// It answers a message of the client.
    Answer = 1,
    /// It answers nothing.
    Push = 3,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the sandbox's one look at the wall clock")]
    fn since_epoch() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// Shifts the clock by `seconds`, in addition to earlier shifts.
    pub(crate) fn shift(&self, seconds: i64) {
        self.offset_s.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The current time in unix seconds, with the type of Telegram's schema.
    pub(crate) fn now(&self) -> i32 {
        let seconds = i64::try_from(Self::since_epoch().as_secs()).unwrap_or(i64::MAX);
        let shifted = seconds.saturating_add(self.offset_s.load(Ordering::Relaxed));
        i32::try_from(shifted).unwrap_or(i32::MAX)
    }

    /// The system time in unix milliseconds, without the offset, for the call log.
    pub(crate) fn unix_ms() -> u64 {
        u64::try_from(Self::since_epoch().as_millis()).unwrap_or(u64::MAX)
    }

    /// A new message id, greater than all previous ones.
    pub(crate) fn message_id(&self, kind: MessageKind) -> i64 {
        let nanos = i64::from(Self::since_epoch().subsec_nanos());
        let fresh = (i64::from(self.now()) << 32) | (nanos << 2);
        let next = |last: i64| fresh.max(last + 4);
        let last = self
            .last_message_id
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)))
            .unwrap_or_else(|last| last);
        next(last) | kind as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_increase_even_within_one_tick_and_contain_their_kind() {
        let clock = Clock::default();
        let ids: Vec<i64> = (0..1000).map(|_| clock.message_id(MessageKind::Answer)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| id & 3 == 1));
        assert_eq!(clock.message_id(MessageKind::Push) & 3, 3);
    }

    #[test]
    fn a_shifted_clock_returns_the_shifted_time() {
        let clock = Clock::default();
        let before = clock.now();
        clock.shift(3600);
        assert!((3600..3610).contains(&(clock.now() - before)));
    }
}
