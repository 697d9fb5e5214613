//! What every part of the daemon stands on: stages of tasks, stop signals, the clock, telemetry.
//!
//! A part is given a [`Stage`] to spawn its tasks into and a [`Clock`] to read the time from;
//! it never spawns, exits or looks at the wall clock by itself.

mod clock;
mod signal;
mod stage;
mod telemetry;

pub use clock::Clock;
pub use signal::Signals;
pub use stage::{OnFailure, Stage};
pub use telemetry::{LogFormat, Telemetry};
pub use tokio_util::sync::CancellationToken;

/// The error and its sources, outermost first, joined by `: `; for a log line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
