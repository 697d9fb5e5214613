use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use crate::faults::SettingFaults;

/// `[tdlib]`: libtdjson.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TdlibSettings {
    /// Path of libtdjson 1.8.61. Default: `libtdjson.so.1.8.61` beside the program, or else in
    /// `../lib/tdfleet/` or `../../.tdlib/` as seen from there; `make tdlib` puts it in the latter.
    pub library: PathBuf,
    /// SHA-256 that the library's file must have, 64 hexadecimal digits. Default: that of one of the
    /// builds that `make tdlib` downloads.
    pub sha256: Option<String>,
    /// Level of TDLib's own log: 1 (errors) or 2 (warnings, which report hidden flood waits and lost
    /// sessions). Higher levels would log whole requests. Default: 2.
    pub log_level: u8,
    /// Timeout of each TDLib request, in seconds: 70 to 600. TDLib itself silently waits out flood
    /// limits of up to 60 seconds, so a shorter timeout would be wrong. Default: 90.
    pub timeout_s: u64,
}

impl Default for TdlibSettings {
    fn default() -> Self {
        Self { library: DEFAULT_LIBRARY.clone(), sha256: None, log_level: 2, timeout_s: 90 }
    }
}

/// Never in the current directory, where anyone may have put a file of that name.
static DEFAULT_LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    const NAME: &str = "libtdjson.so.1.8.61";
    let program = std::env::current_exe().unwrap_or_default();
    let directory = program.parent().unwrap_or_else(|| Path::new("/"));
    let places =
        ["", "../lib/tdfleet", "../../.tdlib"].map(|place| directory.join(place).join(NAME));
    places.iter().find(|path| path.is_file()).unwrap_or(&places[1]).clone()
});

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
        let is_checksum =
            |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !self.sha256.as_ref().is_none_or(is_checksum) {
            faults.add("tdlib.sha256", "must be 64 hexadecimal digits");
        }
        if !(1..=2).contains(&self.log_level) {
            faults.add("tdlib.log_level", "must be between 1 and 2");
        }
        if !(70..=600).contains(&self.timeout_s) {
            faults.add("tdlib.timeout_s", "must be between 70 and 600");
        }
    }
}
