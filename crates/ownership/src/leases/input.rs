//! What the daemon passes to the lease task.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use contracts::Shard;
use tokio::sync::oneshot;

pub(super) enum LeaseRequest {
    Release {
        shard: Shard,
        clean: bool,
    },
    /// Answered, or dropped if Redis is down, once the other workers can see it.
    LeaveFleet(oneshot::Sender<()>),
}

/// Published with each heartbeat.
#[derive(Debug)]
pub(super) struct WorkerStatus {
    pub(super) bus_reachable: AtomicBool,
    pub(super) accounts: AtomicUsize,
}
