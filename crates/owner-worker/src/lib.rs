//! `AccountOwnerWorker`: runs commands on the accounts that this process owns, and turns TDLib's
//! updates into events.
//!
//! A command enters by [`Worker::submit`] (`worker.rs`), is checked (`request.rs`), and joins an
//! in-flight duplicate if there is one (`in_flight.rs`). Its account's task (`account.rs`) queues it
//! (`account/queue.rs`) and runs it in turn (`account/run_command.rs`): the ledger is asked first
//! (`answer.rs`), then the command's row (`commands/<area>.rs`) calls TDLib and shapes the result
//! (`normalize/<domain>.rs`). The answer is appended to the [`AccountLog`](log_port::AccountLog);
//! once it is stored, the caller of `submit` gets its [`CommandOutcome`].
//!
//! An update takes the other direction: `account/client.rs` → `updates.rs` → `account/outbox.rs` →
//! the log.
//!
//! Invariants: each submitted request gets exactly one outcome, or is dropped without having been
//! executed and left to redelivery. A command is dispatched to TDLib only after the ledger has
//! admitted it, and its answer completes it in the same step as it is stored. Writes of one account
//! and flow never overlap. TDLib is open only under the lock of the account's directory. No AMQP and
//! no Redis in here.

mod account;
mod account_state;
mod answer;
mod commands;
mod config;
mod failure;
mod fingerprint;
mod in_flight;
mod job;
mod normalize;
mod ports;
mod request;
mod updates;
mod worker;
mod worker_context;

pub use commands::{CommandDescription, catalog};
pub use config::WorkerConfig;
pub use ports::{CommandOutcome, OnOutcome, ReplySender, WorkerPorts};
pub use request::WorkerRequest;
pub use updates::event_of;
pub use worker::Worker;

/// The events that are not answers and differ from TDLib's own objects: type, description, and JSON
/// Schema of the `result`.
pub fn event_schemas() -> impl Iterator<Item = (&'static str, &'static str, schemars::Schema)> {
    let updates = updates::update_schemas();
    let updates =
        updates.map(|(name, schema)| (name, "TDLib's update of that name, reshaped.", schema));
    account::event_schemas().into_iter().chain(updates)
}
