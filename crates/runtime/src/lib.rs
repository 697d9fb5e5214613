//! What every part of the daemon stands on: stages of tasks, stop signals, the clock, telemetry.
//!
//! A part is given a [`Stage`] to spawn its tasks into and a [`Clock`] to read the time from;
//! it never spawns, exits or looks at the wall clock by itself.

mod backoff;
mod clock;
mod error_chain;
mod signal;
mod stage;
mod sync;
mod telemetry;

pub use backoff::Backoff;
pub use clock::Clock;
pub use error_chain::error_chain;
pub use signal::Signals;
pub use stage::{OnFailure, Stage};
pub use sync::{lock, read_lock, write_lock};
pub use telemetry::{LogFormat, Telemetry};
pub use tokio_util::sync::CancellationToken;
