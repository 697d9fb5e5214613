use runtime::{LogFormat, Telemetry};
use serde::Deserialize;

use crate::faults::SettingFaults;

/// `[log]`: the log on standard error.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Levels, overall and by target: `info`, `warn,broker=debug`. Default: `info`.
    pub filter: String,
    /// `text` or `json`. Default: `text`.
    #[serde(with = "LogFormatName")]
    pub format: LogFormat,
}

/// The names of the formats.
#[derive(Deserialize)]
#[serde(remote = "LogFormat", rename_all = "lowercase")]
enum LogFormatName {
    Text,
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl LogSettings {
    /// The log configuration.
    pub fn telemetry(&self) -> Telemetry {
        Telemetry { filter: self.filter.clone(), format: self.format }
    }

    pub(crate) fn check(&self, faults: &mut SettingFaults) {
        if let Err(error) = Telemetry::check(&self.filter) {
            faults.add("log.filter", error);
        }
    }
}
