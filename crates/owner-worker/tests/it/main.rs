//! The worker through its public interface, on a scripted libtdjson and an event log in memory.
#![expect(clippy::unwrap_used, reason = "clippy knows tests by their attribute only")]

mod block_list;
mod catalog;
mod contacts;
mod delivery;
mod failed_openings;
mod fuzz;
mod global_privacy;
mod lanes;
mod lifecycle;
mod memory_log;
mod opening;
mod pacing;
mod pending;
mod privacy;
mod raw;
mod refusals;
mod sessions;
mod spool;
mod support;
mod updates;
