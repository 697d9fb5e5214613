//! A lease, and the changes of ownership that the daemon acts on.

use contracts::{Epoch, Shard};

/// The right to a shard, fenced by its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: Shard,
    /// Larger than the epoch of every earlier owner.
    pub epoch: Epoch,
    /// The last owner released the shard cleanly, or it never had an owner.
    pub clean: bool,
}

/// A change that the daemon must act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnershipChange {
    /// This worker now owns the shard.
    Acquired(Lease),
    /// Another worker should own the shard: finish its work, close it, then release it.
    HandOverRequested(Shard),
    /// The shard's lease is about to end, or another worker owns the shard: close it at once, then
    /// release it. Accounts that are still open when the lease ends, a third of its duration later,
    /// end the process.
    Lost(Shard),
}
