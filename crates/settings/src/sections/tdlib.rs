use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::faults::SettingFaults;

/// `[tdlib]`: libtdjson.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TdlibSettings {
    /// Path of libtdjson 1.8.61. Default: `.tdlib/libtdjson.so.1.8.61`, where `make tdlib` puts it.
    pub library: PathBuf,
    /// Level of TDLib's own log: 1 (errors) or 2 (warnings, which report hidden flood waits and lost
    /// sessions). Higher levels would log whole requests. Default: 2.
    pub log_level: u8,
    /// Timeout of each TDLib request, in seconds: 70 to 600. TDLib itself silently waits out flood
    /// limits of up to 60 seconds, so a shorter timeout would be wrong. Default: 90.
    pub timeout_s: u64,
}

impl Default for TdlibSettings {
    fn default() -> Self {
        Self { library: PathBuf::from(".tdlib/libtdjson.so.1.8.61"), log_level: 2, timeout_s: 90 }
    }
}

impl TdlibSettings {
    /// [`Self::timeout_s`] as a duration.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }

    /// How long a write that was not answered in time may keep the next ones waiting: four more
    /// timeouts.
    pub fn late_timeout(&self) -> Duration {
        self.timeout() * 4
    }

    pub(crate) fn check(&self, faults: &mut SettingFaults) {
        if !(1..=2).contains(&self.log_level) {
            faults.add("tdlib.log_level", "must be between 1 and 2");
        }
        if !(70..=600).contains(&self.timeout_s) {
            faults.add("tdlib.timeout_s", "must be between 70 and 600");
        }
    }
}
