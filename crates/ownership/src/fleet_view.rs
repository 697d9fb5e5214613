//! What the fleet's records say, for the operator.

use std::collections::BTreeMap;

use contracts::{Epoch, Shard};

use crate::record::{ShardRecord, WorkerRecord};
use crate::redis::HeartbeatResponse;

/// The state of the whole fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetView {
    /// Every shard that has a record or a pin, in order.
    pub shards: Vec<ShardView>,
    /// Every worker that has a record, by name.
    pub workers: Vec<WorkerView>,
    /// The shard that is being moved, and the worker it moves to.
    pub moving: Option<(Shard, String)>,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardView {
    /// Which shard.
    pub shard: Shard,
    /// Epoch of its owner, or of the last one.
    pub epoch: Epoch,
    /// The owner's name; `None` while the shard is free.
    pub owner: Option<String>,
    /// Whether the process that owns it is alive; `false` while the shard is free.
    pub live: bool,
    /// Id of the store with its databases; `None` if they may be on any.
    pub store: Option<String>,
    /// The shard is free and was closed cleanly.
    pub clean: bool,
    /// The worker that the operator pinned it to.
    pub pin: Option<String>,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// Id of its store.
    pub store: String,
    /// It sent a heartbeat while this view was read.
    pub live: bool,
    /// It can reach RabbitMQ.
    pub bus: bool,
    /// It acquires no more shards.
    pub leaving: bool,
    /// Accounts it runs.
    pub accounts: usize,
    /// Shards it owns.
    pub shards: usize,
}

impl FleetView {
    /// `live` says of each of the `workers` whether it is alive.
    pub(crate) fn new(
        response: &HeartbeatResponse,
        workers: BTreeMap<String, WorkerRecord>,
        live: &BTreeMap<String, bool>,
    ) -> Self {
        let is_live = |name: &str| live.get(name).copied().unwrap_or(false);
        let owner_lives = |owner: &str| {
            owner.split_once('/').is_some_and(|(name, incarnation)| {
                let same = workers.get(name).is_some_and(|known| known.incarnation == incarnation);
                is_live(name) && same
            })
        };
        let shard = |(shard, (record, pin)): (Shard, (ShardRecord, Option<String>))| {
            ShardView::new(shard, pin, owner_lives(&record.owner), record)
        };
        let shards = shard_records(response).into_iter().map(shard).collect();
        let worker =
            |(name, record): (String, WorkerRecord)| WorkerView::new(is_live(&name), name, record);
        let moving = response
            .current_move
            .split_once(' ')
            .and_then(|(shard, to)| shard.parse().ok().map(|shard| (shard, to.to_owned())));
        Self { shards, workers: workers.into_iter().map(worker).collect(), moving }
    }
}

/// The record and the pin of each shard that has either.
fn shard_records(response: &HeartbeatResponse) -> BTreeMap<Shard, (ShardRecord, Option<String>)> {
    let mut records = BTreeMap::<Shard, (ShardRecord, Option<String>)>::new();
    for (shard, text) in &response.shards {
        let Ok(shard) = shard.parse() else { continue };
        records.entry(shard).or_default().0 = serde_json::from_str(text).unwrap_or_default();
    }
    for (shard, pin) in &response.pins {
        let Ok(shard) = shard.parse() else { continue };
        records.entry(shard).or_default().1 = Some(pin.clone());
    }
    records
}

impl ShardView {
    fn new(shard: Shard, pin: Option<String>, live: bool, record: ShardRecord) -> Self {
        Self {
            shard,
            epoch: Epoch(record.epoch),
            live,
            owner: (!record.is_free()).then(|| record.owner_name().to_owned()),
            clean: record.is_free() && record.clean,
            store: Some(record.store).filter(|store| !store.is_empty()),
            pin,
        }
    }
}

impl WorkerView {
    fn new(live: bool, name: String, record: WorkerRecord) -> Self {
        Self {
            name,
            store: record.store,
            live,
            bus: record.bus,
            leaving: record.leaving,
            accounts: record.accounts,
            shards: record.shards,
        }
    }
}
