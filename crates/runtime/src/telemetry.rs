use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines are written to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line, for a log collector.
    Json,
}

/// Log configuration of the process.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Directives of `tracing_subscriber::EnvFilter`, such as `info,tdlib=debug`.
    pub filter: String,
    /// Text or JSON.
    pub format: LogFormat,
}

impl Telemetry {
    /// Checks a filter without installing anything.
    ///
    /// # Errors
    ///
    /// A description of the invalid directive.
    pub fn check(filter: &str) -> Result<(), String> {
        EnvFilter::builder().parse(filter).map(drop).map_err(|error| error.to_string())
    }

    /// The filter plus fixed directives. lapin logs again every error that the broker logs itself,
    /// so it is off unless the filter names it. It would also log every message that RabbitMQ
    /// returns, with its whole body, so that target is always off.
    fn directives(&self) -> String {
        format!("lapin=off,{},lapin::returned_messages=off", self.filter)
    }

    /// Installs the process's subscriber, and a hook that logs panics.
    ///
    /// A second call in the same process has no effect. An invalid filter falls back to `info` (the
    /// settings refuse it earlier).
    pub fn install(&self) {
        let filter = EnvFilter::builder()
            .parse(self.directives())
            .unwrap_or_else(|_| EnvFilter::new("info,lapin=off"));
        let builder =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let installed = match self.format {
            LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
        };
        if installed.is_ok() {
            std::panic::set_hook(Box::new(|panic| {
                tracing::error!(location = panic.location().map(tracing::field::display), "panic");
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rabbitmq_returns_is_never_logged() {
        for filter in ["info", "trace", "info,lapin=trace", "lapin::returned_messages=warn"] {
            let telemetry = Telemetry { filter: filter.to_owned(), format: LogFormat::Text };
            let parsed = EnvFilter::builder().parse(telemetry.directives()).unwrap().to_string();
            let about: Vec<_> =
                parsed.split(',').filter(|part| part.starts_with("lapin::returned")).collect();
            assert_eq!(about, ["lapin::returned_messages=off"], "{filter}");
        }
    }
}
