//! The event side: every event gets its place in its account's log, is stored there and published
//! live, and can be read back. Beside the log stand the ledger of the account's commands and its
//! pending lists, since an answer is stored and its command settled in one step.
//!
//! What enters: [`contracts::Event`]s without ids, from the owner of an account, and its questions
//! to the ledger. What leaves: the same events as JSON with `event_id` and `prev`, in the account's
//! Redis stream and on its live channel, the same bytes in both. `docs/events.md` is the reader's
//! side of it.
//!
//! Invariants:
//! - One task writes ([`EventLog`] is its handle), in batches, over one connection; the numbering
//!   lives in it. Within an account, everything is carried out in the order in which it was asked.
//! - An event is told to be stored only when Redis has answered that it is. Whatever breaks in
//!   between, it is stored once: a retry of a batch that did arrive is recognised. So is a hand-over
//!   of a command: it counts once.
//! - An event is in the log exactly if the command that it answers is done in the ledger and out of
//!   its pending list.
//! - A newer owner's claim fences every older one out of all of the account's keys.
//! - A Redis that has lost events, hand-overs or notes is told what this process still knows of them
//!   before it is asked anything.
//!
//! Read in this order: `log` (the handle), `writer` (order, numbers, retries), `store` (what a
//! place to keep logs must be able to do), `redis` and `memory` (the two places), `follow`.

mod account_writer;
mod backend;
mod checks;
mod error;
mod follow;
mod log;
mod memory;
mod redis;
mod store;
mod stored;
mod writer;

pub use account_writer::AccountWriter;
pub use checks::{CheckError, RedisFacts};
pub use error::{InvalidUri, ReadError};
pub use follow::{Followed, Follower, Start};
pub use log::{Counters, EventLog};
pub use stored::Stored;
