use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::faults::SettingFaults;
use crate::name_set::NameSet;
use crate::number_ranges::NumberRanges;

/// `[worker]`: the accounts and their data directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerSettings {
    /// Every account of the installation, the same on every worker: numbers and ranges, such as
    /// `1-200, 305`. Default: none.
    pub accounts: NumberRanges,
    /// Directory of the TDLib databases (`accounts/<userbot_id>/`). Default: `data`.
    pub data_dir: PathBuf,
    /// Accounts opened, or closed, concurrently: 1 to 1000. Default: 16.
    pub opening: u16,
    /// Megabytes (2^20 bytes) of events that each account spools on disk while Redis is down: 1 to
    /// 10240. Default: 64.
    pub spool_mb: u16,
    /// Seconds that a shutdown waits for running commands before it leaves them to redelivery: 1 to
    /// 600. Default: 60.
    pub grace_s: u64,
    /// TDLib methods that the command `call_tdlib` may call, such as `getMe, getChats`.
    /// Default: none.
    pub call_tdlib_methods: NameSet,
    /// Whether runs of five or more digits in messages of chat 777000, in which Telegram sends login
    /// codes, are shown in events and results. Default: false.
    pub show_service_codes: bool,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            accounts: NumberRanges::default(),
            data_dir: PathBuf::from("data"),
            opening: 16,
            spool_mb: 64,
            grace_s: 60,
            call_tdlib_methods: NameSet::default(),
            show_service_codes: false,
        }
    }
}

impl WorkerSettings {
    /// [`Self::grace_s`] as a duration.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_s)
    }

    /// [`Self::spool_mb`] in bytes.
    pub fn spool(&self) -> u64 {
        u64::from(self.spool_mb) << 20
    }

    pub(crate) fn check(&self, faults: &mut SettingFaults) {
        if self.accounts.iter().any(|id| !(1..1 << 53).contains(&id)) {
            faults.add("worker.accounts", "must be between 1 and 9007199254740991");
        }
        if !(1..=1000).contains(&self.opening) {
            faults.add("worker.opening", "must be between 1 and 1000");
        }
        if !(1..=10_240).contains(&self.spool_mb) {
            faults.add("worker.spool_mb", "must be between 1 and 10240");
        }
        if !(1..=600).contains(&self.grace_s) {
            faults.add("worker.grace_s", "must be between 1 and 600");
        }
        let named = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !self.call_tdlib_methods.iter().all(named) {
            faults.add("worker.call_tdlib_methods", "must be names of TDLib methods");
        }
    }
}
