//! `AccountOwnerWorker`: runs commands on the accounts this process owns, and turns what TDLib says
//! into events.
//!
//! A [`Request`] comes in by [`Worker::submit`], which checks it (`intake.rs`) and puts it on the
//! account's lane (`account.rs`, `account/lane.rs`), unless it is a copy of one that is under way
//! (`copies.rs`). Before a command is run or refused, the ledger is asked (`answer.rs`). The lane
//! runs the command's row (`commands/<area>.rs`), which asks TDLib and shapes the result
//! (`normalize/<domain>.rs`); the answer goes to the log through [`AccountLog`](log_port::AccountLog), and once it is there
//! [`Outcome`] goes back to whoever submitted. What a slow lane holds is parked
//! (`account/parking.rs`). Updates take the other way: `account.rs` → `updates.rs` → `account/outbox.rs` → the log.
//!
//! Invariants: every submitted request gets exactly one [`Outcome`], or is dropped undone and left to
//! redelivery; a command is handed to TDLib only after the ledger has let it; its answer settles it
//! in the same step as it is stored; an account's writes of one flow never overlap; TDLib is opened
//! only under the lock of the account's directory and closed before that is let go. No AMQP and no
//! Redis in here.

mod account;
mod answer;
mod commands;
mod copies;
mod intake;
mod ledger;
mod normalize;
mod ports;
mod updates;
mod worker;

pub use commands::{CommandDescription, catalog};
pub use intake::Request;
pub use ports::{OnOutcome, Outcome, Ports, Replies};
pub use updates::{UpdateClass, class_of, event_of};
pub use worker::{Config, Worker};

/// The events that are no answers, and differ from TDLib's own objects: name, meaning, and JSON Schema
/// of the `result`.
pub fn event_schemas() -> impl Iterator<Item = (&'static str, &'static str, schemars::Schema)> {
    let updates = updates::update_schemas();
    let updates = updates
        .map(|(name, schema)| (name, "TDLib's update of that name, in the wire's form.", schema));
    account::event_schemas().into_iter().chain(updates)
}
