//! The base of all parts of the daemon: task stages, stop signals, clock, log set-up, and small
//! helpers for locks, retries, errors and message authentication codes.
//!
//! A part receives a [`Stage`] to spawn its tasks and a [`Clock`] to read the time. It never spawns
//! a task, exits the process or reads the wall clock in any other way.

mod backoff;
mod clock;
mod error_chain;
mod mac_key;
mod signal;
mod stage;
mod sync;
mod telemetry;

pub use backoff::Backoff;
pub use clock::Clock;
pub use error_chain::error_chain;
pub use mac_key::MacKey;
pub use signal::Signals;
pub use stage::{OnFailure, Stage};
pub use sync::{lock, read_lock, write_lock};
pub use telemetry::{LogFormat, Telemetry};
pub use tokio_util::sync::CancellationToken;
