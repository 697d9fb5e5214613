//! How a worker appears to the others.

use contracts::Shard;

use crate::record::{ShardRecord, to_json};
use crate::redis::RecordWrite;

#[derive(Clone, Debug)]
pub(crate) struct WorkerIdentity {
    pub(crate) name: String,
    /// Different for every start of the process.
    pub(crate) incarnation: String,
    /// The id of its store.
    pub(crate) store: String,
}

impl WorkerIdentity {
    /// The owner as shards' records name it: `name/incarnation`.
    pub(crate) fn owner(&self) -> String {
        format!("{}/{}", self.name, self.incarnation)
    }

    /// A write of a record that is accepted as long as this worker has the lease.
    pub(crate) fn write(&self, shard: Shard, record: &ShardRecord) -> RecordWrite {
        RecordWrite {
            shard: shard.to_string(),
            owner: self.owner(),
            epoch: record.epoch,
            record: to_json(record),
        }
    }
}
