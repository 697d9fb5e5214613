//! The JSON records in Redis: one per shard and one per worker. Their field names are the wire
//! format.

use serde::{Deserialize, Serialize};

/// A shard's record: its owner, or the state its last owner left it in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ShardRecord {
    /// Of the owner; of the last one if the shard is free.
    pub(crate) epoch: u64,
    /// `name/incarnation`; empty while the shard is free.
    pub(crate) owner: String,
    /// Grows with every renewal.
    #[serde(rename = "beat")]
    pub(crate) heartbeat: u64,
    /// Id of the store with the shard's databases; empty if they may be on any.
    pub(crate) store: String,
    /// The shard is free and its last owner closed it cleanly.
    #[serde(default)]
    pub(crate) clean: bool,
    /// [Identity](crate::file_lock::FileLock::identity) of the file lock that the owner holds, or
    /// that the last one held.
    #[serde(default)]
    pub(crate) lock: String,
}

impl ShardRecord {
    pub(crate) fn is_free(&self) -> bool {
        self.owner.is_empty()
    }

    /// The owner's name, without its incarnation.
    pub(crate) fn owner_name(&self) -> &str {
        self.owner.split_once('/').map_or(&self.owner, |(name, _)| name)
    }
}

/// What a worker publishes about itself, under its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerRecord {
    /// Different for every start of the process.
    pub(crate) incarnation: String,
    /// Grows about every second.
    #[serde(rename = "beat")]
    pub(crate) heartbeat: u64,
    /// Id of the store that it opens databases from.
    pub(crate) store: String,
    /// Identity of the file lock on its name.
    pub(crate) lock: String,
    /// It can reach RabbitMQ.
    pub(crate) bus: bool,
    /// It acquires no more shards.
    pub(crate) leaving: bool,
    /// Accounts it runs.
    #[serde(rename = "load")]
    pub(crate) accounts: usize,
    /// Shards it owns.
    pub(crate) shards: usize,
}

/// The JSON text as it is stored. Only for plain data, which always serialises.
pub(crate) fn to_json(record: &impl Serialize) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_on_the_wire_never_change() {
        assert_eq!(
            to_json(&ShardRecord::default()),
            r#"{"epoch":0,"owner":"","beat":0,"store":"","clean":false,"lock":""}"#
        );
        assert_eq!(
            to_json(&WorkerRecord::default()),
            r#"{"incarnation":"","beat":0,"store":"","lock":"","bus":false,"leaving":false,"load":0,"shards":0}"#
        );
    }
}
