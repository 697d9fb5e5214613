//! Which worker owns which shard.
//!
//! The daemon asks [`Ownership`] for [`Change`]s and answers each: after [`Change::Gained`] it opens
//! the shard's accounts and consumes its queues, and once those are closed again it calls
//! [`Ownership::release`]. An owner alone may open a shard's TDLib databases.
//!
//! Today shards are [fixed](Ownership::fixed): each worker lists its own, and an exclusive lock on a
//! file in the store keeps two processes from owning one at the same time. Leases that move between
//! workers come behind the same port.

mod fixed;

use contracts::{Epoch, Shard};

pub use fixed::Error;

/// The right to a shard, fenced by its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: Shard,
    /// Larger than that of every earlier owner.
    pub epoch: Epoch,
}

/// What an owner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The shard is this worker's from now on.
    Gained(Lease),
}

/// This worker's part in the ownership of the shards.
pub struct Ownership {
    fixed: fixed::Fixed,
}

impl Ownership {
    /// The next change.
    ///
    /// Fixed shards are gained one after another, each as soon as no other process holds it, and
    /// never lost: once all are here this waits for ever.
    ///
    /// # Errors
    ///
    /// The store cannot be read or written.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn next(&mut self) -> Result<Change, Error> {
        self.fixed.next().await.map(Change::Gained)
    }

    /// Gives a shard up; its accounts must be closed.
    pub fn release(&mut self, shard: Shard) {
        self.fixed.release(shard);
    }
}
