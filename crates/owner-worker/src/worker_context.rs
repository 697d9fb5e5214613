use std::sync::Arc;

use log_port::LogPort;
use runtime::Clock;
use settings::ExposeSecret;
use tdlib::Tdlib;
use tokio::sync::Semaphore;

use crate::callers::CallerRules;
use crate::config::WorkerConfig;
use crate::fingerprint::Fingerprinter;
use crate::ports::{ReplySender, WorkerPorts};
use crate::updates::DroppedUpdates;

/// What all accounts of a worker share.
pub(crate) struct WorkerContext {
    pub(crate) config: WorkerConfig,
    pub(crate) tdlib: Tdlib,
    pub(crate) log: Arc<dyn LogPort>,
    pub(crate) replies: Arc<dyn ReplySender>,
    pub(crate) clock: Clock,
    pub(crate) fingerprinter: Fingerprinter,
    pub(crate) callers: CallerRules,
    /// Limits how many accounts open at the same time; an account that is opened alone takes all
    /// permits.
    pub(crate) opening: Arc<Semaphore>,
    /// Limits how many accounts close at the same time.
    pub(crate) closing: Arc<Semaphore>,
    pub(crate) dropped_updates: DroppedUpdates,
}

impl WorkerContext {
    pub(crate) fn new(
        config: WorkerConfig,
        tdlib: Tdlib,
        ports: WorkerPorts,
        clock: Clock,
    ) -> Self {
        let WorkerPorts { log, replies } = ports;
        let [opening, closing] =
            std::array::from_fn(|_| Arc::new(Semaphore::new(config.opening.max(1))));
        let fingerprinter = Fingerprinter::new(config.credentials.master_key.expose_secret());
        let callers = CallerRules::new(&config.callers);
        let dropped_updates = DroppedUpdates::default();
        Self {
            config,
            tdlib,
            log,
            replies,
            clock,
            fingerprinter,
            callers,
            opening,
            closing,
            dropped_updates,
        }
    }
}
