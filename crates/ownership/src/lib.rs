//! Which worker owns which shard.
//!
//! The daemon asks [`Ownership`] for [`Change`]s and answers each: after [`Change::Gained`] it opens
//! the shard's accounts and consumes its queues; after [`Change::Asked`] and [`Change::Lost`] it
//! closes them, and then calls [`Ownership::release`]. An owner alone may open a shard's TDLib
//! databases.
//!
//! Workers share the shards by [leases](Ownership::leases) kept in Redis; a process that is alone
//! [owns all](Ownership::in_process).
//!
//! Invariants:
//! - A process has a shard's databases open only while it holds the exclusive lock on the shard's
//!   file in the store, and only within the time of its lease: what is not closed by then, the
//!   watchdog ends together with the process.
//! - Nobody takes a shard before the last owner's lease is over by every clock, unless that owner
//!   has released it, or the file's lock proves that it has closed it.
//! - The epoch of each owner is larger than that of every earlier one.
//!
//! Read in this order: `rules` (what is allowed), `leases` (the task that does it), `files`,
//! `assignment` (who should have what).

mod assignment;
mod boot_time;
mod error;
mod files;
pub mod fleet;
mod guard;
mod in_process;
mod leases;
#[cfg(test)]
mod model;
mod record;
mod redis;
mod rules;
mod watchdog;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use contracts::{Epoch, Names, Shard, ShardCount};
use runtime::{Clock, Stage};
use settings::{OwnershipSettings, SecretString};

pub use error::Error;
pub use guard::Guard;

use guard::Tenures;
use in_process::InProcess;
use leases::Leases;

/// The right to a shard, fenced by its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: Shard,
    /// Larger than that of every earlier owner.
    pub epoch: Epoch,
    /// The last owner released it in good order, or it never had one.
    pub clean: bool,
}

/// What an owner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The shard is this worker's from now on.
    Gained(Lease),
    /// Another worker is to have the shard: hand it over in good order, then release it.
    Asked(Shard),
    /// The shard's lease is nearly over, or somebody else has it: close it at once, then release
    /// it. What is still open when the lease's time is over, a third of it later, ends the process.
    Lost(Shard),
}

/// What [`Ownership::leases`] needs to know.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// Times and name.
    pub settings: OwnershipSettings,
    /// The publisher's Redis. Secret.
    pub uri: SecretString,
    /// Longest wait for one answer of Redis; a sixth of the lease if that is shorter.
    pub timeout: Duration,
    /// Names of the keys.
    pub names: Names,
    /// Number of shards, of which this worker takes part in all.
    pub count: ShardCount,
    /// The store: the directory with the accounts' databases.
    pub data_dir: PathBuf,
    /// For the epochs.
    pub clock: Clock,
}

/// This worker's part in the ownership of the shards.
pub struct Ownership {
    mode: Mode,
    tenures: Arc<Tenures>,
}

enum Mode {
    InProcess(Box<InProcess>),
    Leases(Leases),
}

impl Ownership {
    /// Shares the shards with other workers, by leases in Redis. Returns at once; the leases are
    /// taken and renewed by a task of `stage`, which waits for Redis as long as it is away.
    ///
    /// When the stage stops, the task goes on until every shard is released.
    ///
    /// # Errors
    ///
    /// The store cannot be used, or the setting is no Redis URI.
    pub fn leases(stage: &Stage, config: LeaseConfig) -> Result<Self, Error> {
        let tenures = Tenures::new(config.count);
        let leases = Leases::start(stage, config, Arc::clone(&tenures))?;
        watchdog::start(&tenures).map_err(Error::Watchdog)?;
        Ok(Self { mode: Mode::Leases(leases), tenures })
    }

    /// Owns every shard, each by the lock on its file alone: for a process without servers.
    ///
    /// Shards are gained one after another, each as soon as no other process holds it, and never
    /// lost.
    ///
    /// # Errors
    ///
    /// The store's directories cannot be made.
    pub fn in_process(data_dir: &Path, count: ShardCount, clock: Clock) -> Result<Self, Error> {
        let tenures = Tenures::new(count);
        let all = InProcess::new(data_dir, count, Arc::clone(&tenures), clock)?;
        Ok(Self { mode: Mode::InProcess(Box::new(all)), tenures })
    }

    /// The next change. Waits for ever when there is none.
    ///
    /// # Errors
    ///
    /// The store cannot be read or written.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn next(&mut self) -> Result<Change, Error> {
        match &mut self.mode {
            Mode::InProcess(all) => all.next().await,
            Mode::Leases(leases) => leases.next().await,
        }
    }

    /// Gives a shard up; its accounts must be closed, and nothing of this worker may open them
    /// again. `clean`: everything was finished and stored, so that the next owner need not tell
    /// anybody of a gap.
    pub fn release(&self, shard: Shard, clean: bool) {
        self.tenures.end(shard);
        match &self.mode {
            Mode::InProcess(all) => all.release(shard, clean),
            Mode::Leases(leases) => leases.release(shard, clean),
        }
    }

    /// Tells the other workers that this one leaves: it gains nothing more, and each shard that it
    /// releases goes to another. Waits about a second at most, also when Redis is away.
    pub async fn leave(&self) {
        if let Mode::Leases(leases) = &self.mode {
            leases.leave().await;
        }
    }

    /// What tells whether a shard is held at the moment.
    pub fn guard(&self) -> Guard {
        Guard(Arc::clone(&self.tenures))
    }

    /// Tells whether RabbitMQ can be reached; taken to be until told otherwise. A worker that does
    /// not reach it for `ownership.join_delay_s` gives its shards to those that do.
    pub fn set_bus(&self, reachable: bool) {
        if let Mode::Leases(leases) = &self.mode {
            leases.set_bus(reachable);
        }
    }

    /// Tells how many accounts this worker runs, for the operator's list.
    pub fn set_load(&self, accounts: usize) {
        if let Mode::Leases(leases) = &self.mode {
            leases.set_load(accounts);
        }
    }

    /// This worker's name; empty in a process without servers.
    pub fn name(&self) -> &str {
        match &self.mode {
            Mode::InProcess(_) => "",
            Mode::Leases(leases) => leases.name(),
        }
    }
}
