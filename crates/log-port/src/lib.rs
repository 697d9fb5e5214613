//! The port between an account's owner and the event log: what `owner-worker` needs of the log, and
//! what `publisher` provides.
//!
//! An owner claims an account with its [`OwnerToken`] ([`LogPort::claim`]) and gets the right to
//! write the account's log: an [`AccountLog`]. Nothing can be written without one, and nothing is
//! written under it once a newer owner has claimed the account.
//!
//! Besides the events, the log keeps two things per account, so that each command takes effect once
//! and is answered once:
//!
//! - The **ledger** has an entry per caller and `command_id`: dispatched to TDLib (how often), or done (answered
//!   by which event). Entries of done commands expire soon, all others with the account's keys.
//! - A **pending list** per flow holds commands that are acknowledged on RabbitMQ and not yet done.
//!
//! None of these types is serialised here; `publisher` defines their form on Redis. The rules that
//! every implementation must keep are tests: `testkit::log_rules`.

mod admission;
mod head;
mod owner;
mod pending;
mod port;

pub use admission::{
    Admission, AdmissionVerdict, CommandCompletion, CommandFingerprint, Intent, MAX_DISPATCHES,
};
pub use head::{HeadField, LogHead};
pub use owner::{NotStored, OwnerToken};
pub use pending::{PendingCommand, PendingPosition};
pub use port::{AccountLog, ClaimResult, LogPort, OnPending, OnStored};
