use std::io::IsTerminal;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

/// How log lines are written to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line, for a log collector.
    Json,
}

/// Libraries that log addresses with passwords, and bodies, at the levels below `info`. The names
/// of their crates begin with these words.
const LOGGED_DOWN_TO_INFO: [&str; 6] =
    ["amq", "async_rs", "deadpool", "lapin", "redis", "tcp_stream"];

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

    fn subscriber<W>(&self, writer: W, colours: bool) -> Box<dyn Subscriber + Send + Sync>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let filter = EnvFilter::builder()
            .parse(self.directives())
            .unwrap_or_else(|_| EnvFilter::new("info,lapin=off"));
        let subscriber = tracing_subscriber::registry().with(filter).with(filter_fn(may_be_logged));
        // By default a line that cannot be written is reported on standard error: by a panic, when
        // that is what cannot be written to.
        let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
        match self.format {
            LogFormat::Text => Box::new(subscriber.with(lines.with_ansi(colours))),
            LogFormat::Json => Box::new(subscriber.with(lines.json().flatten_event(true))),
        }
    }

    /// Installs the process's subscriber, and a hook that logs panics.
    ///
    /// A second call in the same process has no effect. An invalid filter falls back to `info` (the
    /// settings refuse it earlier). A line that cannot be written is lost, and nothing else happens.
    pub fn install(&self) {
        let is_terminal = std::io::stderr().is_terminal();
        if self.subscriber(std::io::stderr, is_terminal).try_init().is_ok() {
            std::panic::set_hook(Box::new(|panic| {
                tracing::error!(location = panic.location().map(tracing::field::display), "panic");
            }));
        }
    }
}

/// Whether no filter may switch the line on.
fn may_be_logged(line: &Metadata<'_>) -> bool {
    let of_library = LOGGED_DOWN_TO_INFO.iter().any(|name| line.target().starts_with(name));
    !of_library || *line.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info, trace, warn};

    use super::*;
    use crate::lock;

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat, log: impl FnOnce()) -> String {
        let (lines, telemetry) =
            (Lines::default(), Telemetry { filter: filter.to_owned(), format });
        let writer = lines.clone();
        let subscriber = telemetry.subscriber(move || writer.clone(), false);
        tracing::subscriber::with_default(subscriber, log);
        let text = lock(&lines.0);
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn no_filter_makes_a_library_log_what_may_hold_a_password() {
        for filter in [
            "trace",
            "trace,lapin=trace,lapin::io_loop=trace,amq_protocol=trace,redis=trace",
            "trace,[connection]=trace",
        ] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let text = logged(filter, format, || {
                    let span = tracing::error_span!("connection");
                    let _inside = span.enter();
                    trace!(target: "lapin::io_loop", "a frame with hush");
                    debug!(target: "lapin", "a frame with hush");
                    debug!(target: "amq_protocol_uri", "hush");
                    trace!(target: "redis::connection", "hush");
                    debug!(target: "deadpool_redis", "hush");
                    trace!(target: "broker", "a line of our own");
                    info!(target: "redis", "an address");
                });
                assert!(!text.contains("hush"), "{filter}: {text}");
                assert!(text.contains("a line of our own"), "{filter}: {text}");
                assert!(text.contains("an address"), "{filter}: {text}");
            }
        }
    }

    #[test]
    fn a_filter_still_selects_levels_and_targets() {
        let text = logged("warn,broker=debug", LogFormat::Text, || {
            info!(target: "redis", "one");
            warn!(target: "redis", "two");
            debug!(target: "broker", "three");
            trace!(target: "broker", "four");
        });
        let found: Vec<_> = ["one", "two", "three", "four"]
            .into_iter()
            .filter(|line| text.contains(line))
            .collect();
        assert_eq!(found, ["two", "three"], "{text}");
    }

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
