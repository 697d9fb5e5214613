//! The clock that leases are timed by.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

/// A moment on `CLOCK_BOOTTIME`. It never goes back and cannot be set, and unlike Tokio's clock it
/// keeps running while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BootTime(pub(crate) Duration);

impl BootTime {
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let whole = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
        Self(whole + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0)))
    }

    /// Zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }

    /// For an atomic: 64 bits last for five centuries.
    pub(crate) fn nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Waits until `moment`, or forever if there is none.
pub(crate) async fn wait_until(moment: Option<BootTime>) {
    match moment {
        Some(moment) => sleep(moment.since(BootTime::now())).await,
        None => std::future::pending().await,
    }
}
