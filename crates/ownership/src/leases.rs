//! Leases kept in Redis: the handle of the task that acquires, renews and releases them.

mod acquire;
mod config;
mod held_shards;
mod identity;
mod input;
mod leased_shard;
mod observed;
mod planner;
mod presence;
mod schedule;
mod task;
mod worker_name;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use contracts::Shard;
use runtime::{OnFailure, Stage};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

pub use config::LeaseConfig;

use crate::error::OwnershipError;
use crate::lease::OwnershipChange;
use crate::lease_table::LeaseTable;
use crate::redis::LeaseConnection;
use crate::rules::LeaseTimes;
use crate::store_files::StoreFiles;
use acquire::ShardAcquirer;
use held_shards::HeldShards;
use identity::WorkerIdentity;
use input::{LeaseRequest, WorkerStatus};
use observed::ObservedFleet;
use planner::ShardPlanner;
use presence::WorkerPresence;
use schedule::HeartbeatSchedule;
use task::{LeaseTask, TaskState};

/// How long to wait until the other workers know that this one is leaving.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct LeaseTaskHandle {
    name: String,
    requests: mpsc::UnboundedSender<LeaseRequest>,
    changes: mpsc::UnboundedReceiver<Result<OwnershipChange, OwnershipError>>,
    status: Arc<WorkerStatus>,
}

impl LeaseTaskHandle {
    pub(crate) fn start(
        stage: &Stage,
        config: LeaseConfig,
        table: Arc<LeaseTable>,
    ) -> Result<Self, OwnershipError> {
        let LeaseConfig { settings, uri, timeout, names, count, data_dir, clock } = config;
        let times = LeaseTimes { lease: settings.lease() };
        let timeout = timeout.min(times.request_timeout());
        let connection = LeaseConnection::new(&uri, timeout, names, settings.replicas)?;
        let files = StoreFiles::new(&data_dir)?;
        let (name, name_lock) = worker_name::choose_name(&files, settings.name.as_deref())?;
        let incarnation = Uuid::new_v4().simple().to_string();
        let me = WorkerIdentity { name: name.clone(), incarnation, store: files.store_id()? };
        let (requests, receiver) = mpsc::unbounded_channel();
        let (sender, changes) = mpsc::unbounded_channel();
        let status = Arc::new(WorkerStatus {
            bus_reachable: AtomicBool::new(true),
            accounts: AtomicUsize::new(0),
        });
        let (join_delay, dwell) = (settings.join_delay(), settings.dwell());
        let task = LeaseTask {
            held: HeldShards::new(me.clone(), times, table, sender),
            observed: ObservedFleet::new(times, count),
            presence: WorkerPresence::new(me.clone(), join_delay, name_lock, Arc::clone(&status)),
            planner: ShardPlanner::default(),
            acquirer: ShardAcquirer::new(me.clone(), times, files.clone(), clock),
            schedule: HeartbeatSchedule::new(times.heartbeat_interval()),
            state: TaskState::default(),
            requests: receiver,
            me,
            times,
            join_delay,
            dwell,
            files,
            connection,
        };
        let stop = stage.stopping();
        stage.spawn("leases", OnFailure::Stop, async move {
            task.run(stop).await;
            Ok(())
        });
        Ok(Self { name, requests, changes, status })
    }

    pub(crate) async fn next_change(&mut self) -> Result<OwnershipChange, OwnershipError> {
        match self.changes.recv().await {
            Some(change) => change,
            // The task has ended. The stage reports why.
            None => std::future::pending().await,
        }
    }

    pub(crate) fn release(&self, shard: Shard, clean: bool) {
        // If the task has ended, its locks are free already.
        self.requests.send(LeaseRequest::Release { shard, clean }).ok();
    }

    pub(crate) async fn leave_fleet(&self) {
        let (sender, announced) = oneshot::channel();
        if self.requests.send(LeaseRequest::LeaveFleet(sender)).is_ok() {
            // Announced or not, the daemon goes on.
            timeout(LEAVE_TIMEOUT, announced).await.ok();
        }
    }

    pub(crate) fn set_bus_reachable(&self, reachable: bool) {
        self.status.bus_reachable.store(reachable, Ordering::Relaxed);
    }

    pub(crate) fn set_account_count(&self, accounts: usize) {
        self.status.accounts.store(accounts, Ordering::Relaxed);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}
