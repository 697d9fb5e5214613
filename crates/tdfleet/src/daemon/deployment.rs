//! The parts of a worker, for the two ways it is deployed: on RabbitMQ and Redis, or embedded in
//! one process.
//!
//! Parts start from the inside out: output (leases and event log), accounts, intake (command bus).

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use broker::{Bus, BusIdentity, CommandClient};
use owner_worker::{Worker, WorkerPorts};
use ownership::{LeaseConfig, Ownership};
use publisher::EventLog;
use runtime::{CancellationToken, Clock, Signals, Stage};
use settings::{SettingFault, SettingFaults, Settings};
use tdlib::Tdlib;

use super::adapters::{BusReplySender, DeliveryAdapter};
use super::preflight::Preflight;
use crate::installation::MacKeys;

/// All parts of a worker, connected and running. It owns no shard yet.
pub(crate) struct Deployment {
    pub(super) stages: WorkerStages,
    pub(super) signals: Signals,
    pub(super) ownership: Ownership,
    pub(super) log: EventLog,
    pub(super) tdlib: Tdlib,
    pub(super) worker: Arc<Worker>,
    pub(super) bus: Bus,
    pub(super) grace: Duration,
}

impl Deployment {
    /// Starts a worker that shares a fleet's shards with others, on RabbitMQ and Redis. Neither
    /// server has to be up.
    ///
    /// # Errors
    ///
    /// Invalid settings, a TDLib library that does not load, an unusable data directory.
    pub(crate) fn on_servers(settings: &Settings) -> anyhow::Result<Self> {
        Bus::check(&settings.broker)
            .map_err(|error| SettingFault {
                setting: "broker.uri".to_owned(),
                problem: error.to_string(),
            })
            .map_err(SettingFaults::from)?;
        let preflight = Preflight::run(settings)?;
        let (names, MacKeys { bus, log }) = (preflight.names.clone(), preflight.keys.clone());
        let identity = BusIdentity { names: names.clone(), count: preflight.shard_count, key: bus };
        let stages = WorkerStages::new();
        let ownership =
            Ownership::start_leases(&stages.output, lease_config(settings, &preflight))?;
        let log = EventLog::redis(&stages.output, settings.publisher.clone(), names, Some(log))?;
        let parts = PartsWithoutBus::start(preflight, stages, ownership, log)?;
        let intake = &parts.stages.intake;
        let handler = parts.handler();
        let bus = Bus::start(intake, &settings.broker, &settings.limits, identity, handler)?;
        Ok(parts.connect(bus, settings))
    }

    /// Starts a worker that owns every shard and keeps commands and events in this process. The
    /// second value publishes commands to it.
    ///
    /// # Errors
    ///
    /// The same as [`Self::on_servers`].
    pub(crate) fn embedded(settings: &Settings) -> anyhow::Result<(Self, CommandClient)> {
        let mut preflight = Preflight::run(settings)?;
        // Callers are users of RabbitMQ.
        preflight.config.callers.clear();
        let shard_count = preflight.shard_count;
        let stages = WorkerStages::new();
        let data_dir = &settings.worker.data_dir;
        let ownership = Ownership::in_process(data_dir, shard_count, Clock::system())?;
        let log = EventLog::in_process(&stages.output, settings.publisher.clone());
        let parts = PartsWithoutBus::start(preflight, stages, ownership, log)?;
        let (stage, handler) = (&parts.stages.intake, parts.handler());
        let (bus, client) = Bus::in_process(stage, &settings.limits, shard_count, handler);
        Ok((parts.connect(bus, settings), client))
    }
}

/// The worker's tasks, by the order in which they start; they drain in the reverse order.
pub(super) struct WorkerStages {
    /// Cancelled when a part fails that the process cannot work without.
    pub(super) failed: CancellationToken,
    pub(super) output: Stage,
    pub(super) accounts: Stage,
    pub(super) intake: Stage,
}

impl WorkerStages {
    fn new() -> Self {
        let failed = CancellationToken::new();
        let [output, accounts, intake] =
            ["output", "accounts", "intake"].map(|name| Stage::new(name, &failed));
        Self { failed, output, accounts, intake }
    }
}

/// Everything but the command bus, which needs the worker as its handler.
struct PartsWithoutBus {
    stages: WorkerStages,
    signals: Signals,
    ownership: Ownership,
    log: EventLog,
    tdlib: Tdlib,
    worker: Arc<Worker>,
    replies: Arc<BusReplySender>,
}

impl PartsWithoutBus {
    /// Starts TDLib's reader and the worker.
    fn start(
        preflight: Preflight,
        stages: WorkerStages,
        ownership: Ownership,
        log: EventLog,
    ) -> anyhow::Result<Self> {
        let Preflight { config, library, signals, .. } = preflight;
        let tdlib = Tdlib::start(Arc::new(library), stages.failed.clone())
            .context("cannot start TDLib's reader")?;
        let replies = Arc::new(BusReplySender::default());
        let ports = WorkerPorts { log: Arc::new(log.clone()), replies: Arc::clone(&replies) as _ };
        let accounts = stages.accounts.clone();
        let worker = Worker::new(accounts, config, tdlib.clone(), ports, Clock::system());
        let worker = Arc::new(worker);
        Ok(Self { stages, signals, ownership, log, tdlib, worker, replies })
    }

    /// What the bus passes its deliveries to.
    fn handler(&self) -> Arc<DeliveryAdapter> {
        let (worker, guard) = (Arc::clone(&self.worker), self.ownership.guard());
        Arc::new(DeliveryAdapter { worker, guard })
    }

    /// Completes the parts with the bus, by which the worker's replies go out.
    fn connect(self, bus: Bus, settings: &Settings) -> Deployment {
        let Self { stages, signals, ownership, log, tdlib, worker, replies, .. } = self;
        replies.set_bus(bus.clone());
        let grace = settings.worker.grace();
        Deployment { stages, signals, ownership, log, tdlib, worker, bus, grace }
    }
}

fn lease_config(settings: &Settings, preflight: &Preflight) -> LeaseConfig {
    LeaseConfig {
        settings: settings.ownership.clone(),
        uri: settings.publisher.uri.clone(),
        timeout: settings.publisher.timeout(),
        names: preflight.names.clone(),
        count: preflight.shard_count,
        data_dir: settings.worker.data_dir.clone(),
        clock: Clock::system(),
    }
}
