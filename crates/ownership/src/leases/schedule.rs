//! When the next heartbeat is due.

use std::time::Duration;

use tokio::time::Instant;

/// Delay when a change is expected, and the first delay after Redis failed.
const SOON: Duration = Duration::from_millis(100);

pub(super) struct HeartbeatSchedule {
    interval: Duration,
    next: Instant,
    /// How many requests in a row Redis has not answered.
    failures: u32,
}

impl HeartbeatSchedule {
    /// The first heartbeat is due at once.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, next: Instant::now(), failures: 0 }
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn run_now(&mut self) {
        self.next = Instant::now();
    }

    pub(super) fn run_soon(&mut self) {
        self.next = self.next.min(Instant::now() + SOON);
    }

    pub(super) fn run_after_interval(&mut self) {
        self.next = Instant::now() + self.interval;
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Backs off. Returns whether this is the first failure in a row.
    pub(super) fn on_failure(&mut self) -> bool {
        let delay = SOON * (1 << self.failures.min(4));
        let first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        self.next = Instant::now() + delay.min(self.interval);
        first
    }

    /// Returns whether it was failing before.
    pub(super) fn on_success(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }
}
