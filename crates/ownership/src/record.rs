//! What is kept in Redis, as JSON: a record per shard and one per worker.

use serde::{Deserialize, Serialize};

/// A shard's record: who owns it, or that nobody does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Of the owner; of the last one if there is none.
    pub(crate) epoch: u64,
    /// `name/incarnation`; empty while the shard is free.
    pub(crate) owner: String,
    /// Grows with every renewal.
    pub(crate) beat: u64,
    /// The store with the shard's databases; empty when they may be on any.
    pub(crate) store: String,
    /// Of a free shard: its last owner closed it in good order.
    #[serde(default)]
    pub(crate) clean: bool,
    /// [Identity](crate::files::Locked::identity) of the file lock that the owner holds, or the last
    /// one held.
    #[serde(default)]
    pub(crate) lock: String,
}

impl Record {
    pub(crate) fn is_free(&self) -> bool {
        self.owner.is_empty()
    }

    /// The owner's name, without its incarnation.
    pub(crate) fn owner_name(&self) -> &str {
        self.owner.split_once('/').map_or(&self.owner, |(name, _)| name)
    }
}

/// What a worker says of itself, under its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerRecord {
    /// Another one for every start of the process.
    pub(crate) incarnation: String,
    /// Grows about every second.
    pub(crate) beat: u64,
    /// The store it can open databases of.
    pub(crate) store: String,
    /// Identity of the file lock on its name.
    pub(crate) lock: String,
    /// It reaches RabbitMQ.
    pub(crate) bus: bool,
    /// It takes no more shards.
    pub(crate) leaving: bool,
    /// Accounts it runs.
    pub(crate) load: usize,
    /// Shards it owns.
    pub(crate) shards: usize,
}

/// The JSON as it is stored. Both types are plain data, which always serialises.
pub(crate) fn json(record: &impl Serialize) -> String {
    serde_json::to_string(record).unwrap_or_default()
}
