use std::time::Duration;

use serde::Deserialize;

use crate::faults::SettingFaults;

/// `[limits]`: what a command may ask for; more is refused before it is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Largest body of a command, in KiB: 1 to 16384. Default: 64.
    pub command_kib: u32,
    /// The same for `call_tdlib`: 1 to 16384. Default: 256.
    pub call_tdlib_kib: u32,
    /// Levels of objects and arrays in a body, the command itself among them: 4 to 100. Default: 32.
    pub json_depth: u32,
    /// Members of all objects in a body together: 16 to 100000. Default: 1024.
    pub json_members: u32,
    /// Hours that a deadline may lie ahead: 1 to 720. The ledger remembers a command until its
    /// deadline, so this bounds what it holds. Default: 24.
    pub deadline_h: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            command_kib: 64,
            call_tdlib_kib: 256,
            json_depth: 32,
            json_members: 1024,
            deadline_h: 24,
        }
    }
}

impl LimitSettings {
    /// [`Self::deadline_h`] as a duration.
    pub fn deadline(&self) -> Duration {
        Duration::from_hours(self.deadline_h.into())
    }

    pub(crate) fn check(&self, faults: &mut SettingFaults) {
        for (setting, value, allowed) in [
            ("limits.command_kib", self.command_kib, 1..=16_384),
            ("limits.call_tdlib_kib", self.call_tdlib_kib, 1..=16_384),
            ("limits.json_depth", self.json_depth, 4..=100),
            ("limits.json_members", self.json_members, 16..=100_000),
            ("limits.deadline_h", self.deadline_h, 1..=720),
        ] {
            if !allowed.contains(&value) {
                let (first, last) = (allowed.start(), allowed.end());
                faults.add(setting, format!("must be between {first} and {last}"));
            }
        }
    }
}
