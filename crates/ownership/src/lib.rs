//! Which worker owns which shard.
//!
//! The daemon waits for [`OwnershipChange`]s from [`Ownership`] and acts on each one. On
//! [`OwnershipChange::Acquired`] it opens the shard's accounts and consumes its queues. On
//! [`OwnershipChange::HandOverRequested`] and [`OwnershipChange::Lost`] it closes them and then
//! calls [`Ownership::release`]. Only the owner may open a shard's TDLib databases.
//!
//! Workers share the shards by [leases](Ownership::start_leases) kept in Redis. A process that runs
//! alone [owns them all](Ownership::in_process).
//!
//! Invariants:
//! - A process has a shard's databases open only while it holds the exclusive lock on the shard's
//!   file in the store and its lease is valid. If anything is still open when the lease ends, the
//!   watchdog kills the process.
//! - No worker acquires a shard before the previous owner's lease has ended by every clock, unless
//!   that owner has released it or the file lock proves that it has closed it.
//! - Each owner's epoch is larger than every earlier one.
//!
//! Read in this order: `rules` (what is allowed), `leases` (the task that applies the rules),
//! `store_files` (ids and locks on disk), `assignment` (which worker should have which shard).

mod assignment;
mod boot_time;
mod error;
mod file_lock;
mod fleet_client;
mod fleet_view;
mod guard;
mod in_process;
mod lease;
mod lease_table;
mod leases;
#[cfg(test)]
mod model;
mod ownership;
mod record;
mod redis;
mod rules;
mod shard_file;
mod store_files;
mod watchdog;

pub use error::OwnershipError;
pub use fleet_client::FleetClient;
pub use fleet_view::{FleetView, ShardView, WorkerView};
pub use guard::Guard;
pub use lease::{Lease, OwnershipChange};
pub use leases::LeaseConfig;
pub use ownership::Ownership;
