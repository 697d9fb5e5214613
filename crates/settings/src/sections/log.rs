use runtime::Telemetry;
use serde::Deserialize;

use crate::load::Faults;

/// `[log]`: what goes to standard error.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Levels, for all and by target: `info`, `warn,broker=debug`. Default: `info`.
    pub filter: String,
    /// `text` or `json`. Default: `text`.
    pub format: LogFormat,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl LogSettings {
    /// The log set-up they ask for.
    pub fn telemetry(&self) -> Telemetry {
        let format = match self.format {
            LogFormat::Text => runtime::LogFormat::Text,
            LogFormat::Json => runtime::LogFormat::Json,
        };
        Telemetry { filter: self.filter.clone(), format }
    }

    pub(crate) fn check(&self, faults: &mut Faults) {
        if let Err(error) = Telemetry::check(&self.filter) {
            faults.add("log.filter", error);
        }
    }
}
