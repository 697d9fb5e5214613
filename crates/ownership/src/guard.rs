//! The check of every delivery: does this worker still hold the shard?

use std::sync::Arc;

use contracts::Shard;

use crate::lease_table::LeaseTable;

/// Checks whether a shard is still held by this worker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guard(Arc<LeaseTable>);

impl Guard {
    pub(crate) fn new(table: Arc<LeaseTable>) -> Self {
        Self(table)
    }

    /// Whether the shard is held at this moment: acquired, neither lost nor released, and its lease
    /// is not about to end. Takes no lock.
    pub fn holds(&self, shard: Shard) -> bool {
        self.0.holds(shard)
    }
}
