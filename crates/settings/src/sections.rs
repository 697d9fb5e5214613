//! The sections; the doc comment of a field documents the setting.

mod broker;
mod callers;
mod limits;
mod log;
mod ownership;
mod pacing;
mod publisher;
mod tdlib;
mod telegram;
mod worker;

use serde::Deserialize;

pub use broker::{BrokerSettings, QueueType};
pub use callers::CallerSettings;
pub use limits::LimitSettings;
pub use log::LogSettings;
pub use ownership::OwnershipSettings;
pub use pacing::PacingSettings;
pub use publisher::PublisherSettings;
pub use tdlib::TdlibSettings;
pub use telegram::{ProxySettings, TelegramCredentials, TelegramSettings};
pub use worker::WorkerSettings;

use crate::faults::SettingFaults;

/// All settings of one process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// First word of every exchange, queue, channel and key, so that several installations can
    /// share a server. Letters, digits, `_` and `-`. Default: `tdfleet`.
    pub namespace: String,
    /// Number of shards, 1 to 1000; the same for every process of an installation, and never changed.
    /// Default: 64.
    pub shard_count: u16,
    /// `[[callers]]`
    pub callers: Vec<CallerSettings>,
    /// `[log]`
    pub log: LogSettings,
    /// `[broker]`
    pub broker: BrokerSettings,
    /// `[limits]`
    pub limits: LimitSettings,
    /// `[publisher]`
    pub publisher: PublisherSettings,
    /// `[ownership]`
    pub ownership: OwnershipSettings,
    /// `[worker]`
    pub worker: WorkerSettings,
    /// `[pacing]`
    pub pacing: PacingSettings,
    /// `[telegram]`
    pub telegram: TelegramSettings,
    /// `[tdlib]`
    pub tdlib: TdlibSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: "tdfleet".to_owned(),
            shard_count: 64,
            callers: Vec::new(),
            log: LogSettings::default(),
            broker: BrokerSettings::default(),
            limits: LimitSettings::default(),
            publisher: PublisherSettings::default(),
            ownership: OwnershipSettings::default(),
            worker: WorkerSettings::default(),
            pacing: PacingSettings::default(),
            telegram: TelegramSettings::default(),
            tdlib: TdlibSettings::default(),
        }
    }
}

impl Settings {
    pub(crate) fn check(&self, faults: &mut SettingFaults) {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.namespace.is_empty() || !self.namespace.chars().all(word) {
            faults.add("namespace", "must be letters, digits, `_` and `-`");
        }
        if !(1..=1000).contains(&self.shard_count) {
            faults.add("shard_count", "must be between 1 and 1000");
        }
        CallerSettings::check_all(&self.callers, faults);
        self.log.check(faults);
        self.broker.check(&self.namespace, faults);
        self.limits.check(faults);
        self.publisher.check(faults);
        self.ownership.check(faults);
        self.worker.check(faults);
        self.pacing.check(faults);
        self.telegram.check(faults);
        self.tdlib.check(faults);
    }
}
