//! `AccountOwnerWorker`: runs commands on the accounts this process owns, and turns what TDLib says
//! into events.
//!
//! A [`Request`] comes in by [`Worker::submit`], which checks it (`intake.rs`) and puts it on the
//! account's lane (`account.rs`, `account/lane.rs`). The lane runs the command's row
//! (`commands/<area>.rs`), which asks TDLib and shapes the result (`normalize/<domain>.rs`); the
//! answer goes to the log through [`EventSink`], and once it is there [`Outcome`] goes back to
//! whoever submitted. Updates take the other way: `account.rs` → `updates.rs` → [`EventSink`].
//!
//! Invariants: every submitted request gets exactly one [`Outcome`], or is dropped undone and left to
//! redelivery; an account's writes of one flow never overlap; TDLib is opened only under the lock of
//! the account's directory and closed before that is let go. No AMQP and no Redis in here.

mod account;
mod answer;
mod commands;
mod intake;
mod normalize;
mod ports;
mod updates;
mod worker;

pub use commands::{Description, catalog};
pub use intake::Request;
pub use ports::{EventSink, NotStored, OnOutcome, OnStored, Outcome};
pub use updates::{Class, class_of, event_of, update_schemas};
pub use worker::{Config, Worker};

/// Every command's name, in the order of the reference.
pub fn command_names() -> impl Iterator<Item = &'static str> {
    commands::all().map(|entry| entry.name)
}

/// Names of the fields of a command of that name that hold secrets or not, in the contract's order.
pub fn command_fields(name: &str) -> Option<&'static [&'static str]> {
    commands::find(name).map(|entry| entry.fields)
}
