//! Arguments and answers of the two scripts. Field names are those in the Lua scripts.

use std::collections::{BTreeMap, HashMap};

use contracts::Shard;
use serde::Serialize;

use crate::record::WorkerRecord;

/// Arguments of `heartbeat.lua`. The default one only reads.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct HeartbeatRequest {
    /// Redis's time, in unix milliseconds, after which the request only reads; 0 for no limit.
    #[serde(rename = "by")]
    pub(crate) expires_at_ms: u64,
    /// The worker's name.
    pub(crate) name: String,
    pub(crate) incarnation: String,
    /// The worker's own record; empty to publish none.
    pub(crate) record: String,
    /// The record of a dead worker of the same name, which may be overwritten; empty for none.
    #[serde(rename = "over")]
    pub(crate) overwrite: String,
    /// Delete the worker's record instead.
    pub(crate) goodbye: bool,
    /// Leases to renew.
    pub(crate) renew: Vec<RecordWrite>,
    /// Closed shards to mark as free.
    pub(crate) free: Vec<RecordWrite>,
    /// `<shard> <worker>`: a move to start if none is in progress; empty for none.
    #[serde(rename = "move")]
    pub(crate) start_move: String,
    /// How long that move blocks others.
    pub(crate) move_ms: u64,
    /// Workers whose records are to be deleted.
    pub(crate) forget: Vec<ForgottenWorker>,
}

/// A shard's record, written only if the lease allows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RecordWrite {
    pub(crate) shard: String,
    pub(crate) owner: String,
    pub(crate) epoch: u64,
    pub(crate) record: String,
}

/// A worker's record, deleted only if it is still the same.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ForgottenWorker {
    pub(crate) name: String,
    pub(crate) record: String,
}

/// The answer of `heartbeat.lua`.
#[derive(Clone, Debug)]
pub(crate) struct HeartbeatResponse {
    /// The worker's record is published, and belongs to this incarnation.
    pub(crate) announced: bool,
    /// The requested move was started.
    pub(crate) move_started: bool,
    /// Shards that were not renewed because another worker has them.
    pub(crate) lost: Vec<String>,
    pub(crate) shards: HashMap<String, String>,
    pub(crate) workers: HashMap<String, String>,
    pub(crate) pins: HashMap<String, String>,
    /// `<shard> <worker>`: the move in progress; empty for none.
    pub(crate) current_move: String,
    /// Redis's own time, in unix milliseconds.
    pub(crate) time_ms: u64,
    /// The request arrived too late: it only read.
    pub(crate) expired: bool,
}

impl HeartbeatResponse {
    /// The records of the workers, by name, without those that cannot be read.
    pub(crate) fn worker_records(&self) -> BTreeMap<String, WorkerRecord> {
        let read = |(name, text): (&String, &String)| {
            serde_json::from_str(text).ok().map(|worker| (name.clone(), worker))
        };
        self.workers.iter().filter_map(read).collect()
    }
}

/// A shard to acquire, if its record in Redis is still the one that was seen.
#[derive(Clone, Debug)]
pub(crate) struct AcquireRequest {
    pub(crate) shard: Shard,
    /// The record as it was seen; empty if there was none.
    pub(crate) seen: String,
    /// The new record.
    pub(crate) record: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::to_json;

    #[test]
    fn field_names_of_a_heartbeat_never_change() {
        let write = RecordWrite {
            shard: String::new(),
            owner: String::new(),
            epoch: 1,
            record: String::new(),
        };
        let forgotten = ForgottenWorker { name: String::new(), record: String::new() };
        let request = HeartbeatRequest {
            renew: vec![write],
            forget: vec![forgotten],
            ..HeartbeatRequest::default()
        };
        assert_eq!(
            to_json(&request),
            concat!(
                r#"{"by":0,"name":"","incarnation":"","record":"","over":"","goodbye":false,"#,
                r#""renew":[{"shard":"","owner":"","epoch":1,"record":""}],"free":[],"#,
                r#""move":"","move_ms":0,"forget":[{"name":"","record":""}]}"#,
            )
        );
    }
}
