//! The event side: every event gets its place in its account's log, is stored there and published
//! live, and can be read back.
//!
//! What enters: [`contracts::Event`]s without ids, from the owner of an account. What leaves: the
//! same events as JSON with `event_id` and `prev`, in the account's Redis stream and on its live
//! channel, the same bytes in both. `docs/events.md` is the reader's side of it.
//!
//! Invariants:
//! - One task writes ([`EventLog`] is its handle), in batches, over one connection; the numbering
//!   lives in it. Within an account, events are stored in the order of [`EventLog::append`].
//! - An event is told to be stored only when Redis has answered that it is. Whatever breaks in
//!   between, it is stored once: a retry of a batch that did arrive is recognised.
//! - A newer owner's claim fences every older one out of the account's log.
//!
//! Read in this order: `log` (the handle), `writer` (order, numbers, retries), `store` (what a
//! place to keep logs must be able to do), `redis` and `memory` (the two places), `follow`.

mod backend;
mod backoff;
mod checks;
mod error;
mod follow;
mod log;
mod memory;
mod redis;
mod store;
mod stored;
mod writer;

pub use checks::{CheckError, RedisFacts};
pub use error::{ClaimError, InvalidUri, NotStored, ReadError};
pub use follow::{Followed, Follower, Start};
pub use log::{Counters, EventLog};
pub use stored::{OnParked, OnStored, Stored};
