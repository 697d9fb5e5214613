//! The event log: every event gets its number in its account's log, is stored there and published
//! live, and can be read back. The log also keeps the ledger of the account's commands and its
//! pending lists, so that an answer is stored and its command completed in one step.
//!
//! Input: [`contracts::Event`]s without ids, from the owner of an account, and its admissions of
//! commands. Output: the same events as JSON with `event_id` and `prev`, in the account's Redis
//! stream and on its live channel, the same bytes in both. `docs/events.md` describes them for
//! readers.
//!
//! Invariants:
//! - One task writes ([`EventLog`] is its handle), in batches, over one connection; it numbers the
//!   events. Requests about one account are executed in the order of the calls.
//! - An event counts as stored only when Redis has confirmed it. Whatever breaks in between, it is
//!   stored once: a retry of a batch that did arrive is recognised. Likewise a dispatch counts once.
//! - An event is in the log exactly if the command that it answers is done in the ledger and removed
//!   from its pending list.
//! - A newer owner's claim fences every older one out of all of the account's keys.
//! - A Redis that has lost events, dispatches or head fields gets back those that this process still
//!   has, before anything else is asked of it.
//!
//! Read in this order: `event_log` (the handle), `writer` (order, numbers, retries), `store` (what a
//! store of logs must provide), `redis` and `memory` (the two stores), `follow`.

mod account_writer;
mod audit;
mod checks;
mod error;
mod event_log;
mod follow;
mod memory;
mod reader;
mod redis;
mod store;
mod stored;
mod writer;

pub use account_writer::AccountWriter;
pub use audit::{AuditError, AuditReader, AuditRecord};
pub use checks::{CheckError, RedisFacts, read_epochs};
pub use error::{InvalidUri, ReadError};
pub use event_log::{EventLog, LogCounters};
pub use follow::{FollowedItem, Follower, StartPosition};
pub use stored::StoredEvent;
