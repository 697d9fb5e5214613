//! The lease task: one heartbeat after another.

use std::time::Duration;

use contracts::Shard;
use deadpool_redis::redis::RedisError;
use runtime::CancellationToken;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tracing::{info, warn};

use crate::boot_time::{BootTime, wait_until};
use crate::error::OwnershipError;
use crate::leases::acquire::ShardAcquirer;
use crate::leases::held_shards::HeldShards;
use crate::leases::identity::WorkerIdentity;
use crate::leases::input::LeaseRequest;
use crate::leases::leased_shard::LockedShard;
use crate::leases::observed::ObservedFleet;
use crate::leases::planner::{PlanInput, ShardPlanner};
use crate::leases::presence::WorkerPresence;
use crate::leases::schedule::HeartbeatSchedule;
use crate::redis::{HeartbeatRequest, HeartbeatResponse, LeaseConnection};
use crate::rules::LeaseTimes;
use crate::store_files::StoreFiles;

/// A move that takes longer than this no longer blocks other moves.
const LONGEST_MOVE: Duration = Duration::from_mins(1);

pub(super) struct LeaseTask {
    pub(super) me: WorkerIdentity,
    pub(super) times: LeaseTimes,
    pub(super) join_delay: Duration,
    pub(super) dwell: Duration,
    pub(super) files: StoreFiles,
    pub(super) connection: LeaseConnection,
    pub(super) requests: mpsc::UnboundedReceiver<LeaseRequest>,
    pub(super) presence: WorkerPresence,
    pub(super) observed: ObservedFleet,
    pub(super) planner: ShardPlanner,
    pub(super) acquirer: ShardAcquirer,
    pub(super) held: HeldShards,
    pub(super) schedule: HeartbeatSchedule,
    pub(super) state: TaskState,
}

/// What the task remembers from one heartbeat to the next.
#[derive(Default)]
pub(super) struct TaskState {
    /// Redis's time at its last answer, in unix milliseconds; 0 before.
    redis_time_ms: u64,
    leaving: bool,
    stopping: bool,
    /// A move to request: the shard, and the worker it should move to.
    requested_move: Option<(Shard, String)>,
    /// Answered once the others know that this worker is leaving.
    leave_waiters: Vec<oneshot::Sender<()>>,
    /// It was logged that shards have no record.
    unknown_logged: bool,
}

impl LeaseTask {
    /// Runs until `stop` is cancelled and every shard is released.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let expiry = self.held.next_expiry();
            tokio::select! {
                biased;
                () = stop.cancelled(), if !self.state.stopping => self.state.stopping = true,
                request = self.requests.recv() => match request {
                    Some(request) => self.handle(request),
                    None if self.held.len() == 0 => self.state.stopping = true,
                    // The daemon has ended without releasing anything. The locks are kept; the
                    // leases run out, and the watchdog ends what is left of the process.
                    None => std::future::pending().await,
                },
                () = wait_until(expiry) => {
                    self.held.revoke_expiring(BootTime::now());
                    continue;
                }
                () = sleep_until(self.schedule.next()) => {
                    if let Err(error) = self.heartbeat().await {
                        // What is held stays held, and locked, until the daemon has closed it.
                        self.state.leaving = true;
                        self.held.report_failure(error);
                    }
                }
            }
            if self.state.stopping && self.held.len() == 0 {
                self.say_goodbye().await;
                return;
            }
        }
    }

    fn handle(&mut self, request: LeaseRequest) {
        match request {
            LeaseRequest::Release { shard, clean } => self.held.close(shard, clean),
            LeaseRequest::LeaveFleet(waiter) => {
                self.state.leaving = true;
                self.state.leave_waiters.push(waiter);
            }
        }
        if self.schedule.is_failing() {
            self.held.unlock_closed();
            self.state.leave_waiters.clear();
        } else {
            self.schedule.run_now();
        }
    }

    async fn heartbeat(&mut self) -> Result<(), OwnershipError> {
        self.presence.try_lock_name(&self.files)?;
        let now = BootTime::now();
        self.held.revoke_expiring(now);
        let request = self.heartbeat_request(now);
        let sent = BootTime::now();
        let call = self.connection.heartbeat(&request);
        let response = self.held.revoke_expiring_during(call).await;
        self.schedule.run_after_interval();
        match response {
            Err(error) => self.on_redis_error(&error),
            Ok(response) => {
                self.on_redis_answer();
                self.state.redis_time_ms = response.time_ms;
                if response.expired {
                    self.schedule.run_now();
                    return Ok(());
                }
                self.apply(&request, &response, sent);
                self.follow_plan().await?;
            }
        }
        self.state.leave_waiters.clear();
        Ok(())
    }

    fn heartbeat_request(&mut self, now: BootTime) -> HeartbeatRequest {
        // A request that is still under way when this lease ends must not be applied.
        let lease_ms = u64::try_from(self.times.lease.as_millis()).unwrap_or(u64::MAX);
        let redis_time_ms = self.state.redis_time_ms;
        let mut request = HeartbeatRequest {
            expires_at_ms: if redis_time_ms == 0 { 0 } else { redis_time_ms + lease_ms },
            name: self.me.name.clone(),
            incarnation: self.me.incarnation.clone(),
            renew: self.held.due_renewals(now),
            free: self.held.pending_releases(),
            forget: self.observed.forgotten_workers(now),
            ..HeartbeatRequest::default()
        };
        if let Some((shard, to)) = &self.state.requested_move {
            request.start_move = format!("{shard} {to}");
            let longest = LONGEST_MOVE.max(self.times.lease * 4);
            request.move_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        }
        let leaving = self.state.leaving || self.state.stopping;
        if let Some(announcement) =
            self.presence.announce(&self.observed, leaving, self.held.len(), now)
        {
            request.record = announcement.record;
            request.overwrite = announcement.overwrite;
        }
        request
    }

    /// Takes over what a heartbeat sent at `sent` was answered.
    fn apply(&mut self, request: &HeartbeatRequest, response: &HeartbeatResponse, sent: BootTime) {
        self.held.on_renewed(&request.renew, &response.lost, sent);
        self.held.on_released();
        self.presence.set_announced(response.announced);
        let requested_move = self.state.requested_move.take();
        if let Some((shard, to)) = requested_move.filter(|_| response.move_started) {
            self.held.request_hand_over(shard, &to);
        }
        let now = BootTime::now();
        self.observed.update(response, self.connection.generation(), now);
        self.observed.detect_dead_workers(&self.files, &self.me, now);
    }

    async fn follow_plan(&mut self) -> Result<(), OwnershipError> {
        if !self.presence.is_announced() || self.state.leaving || self.state.stopping {
            return Ok(());
        }
        let plan = self.planner.plan(&PlanInput {
            me: &self.me,
            observed: &self.observed,
            held: &self.held,
            files: &self.files,
            times: self.times,
            join_delay: self.join_delay,
            dwell: self.dwell,
            redis_steady: self.is_redis_steady(),
            now: BootTime::now(),
        });
        self.log_unknown(plan.unknown);
        if plan.arriving {
            self.schedule.run_soon();
        }
        if plan.hand_over.is_some() {
            self.state.requested_move = plan.hand_over;
            self.schedule.run_now();
        }
        self.acquire(&plan.acquire).await
    }

    /// Acquires those of `shards` whose files it can lock.
    async fn acquire(&mut self, shards: &[Shard]) -> Result<(), OwnershipError> {
        let redis_steady = self.is_redis_steady();
        let batch = self.acquirer.prepare(shards, &self.observed, redis_steady)?;
        if batch.retry_soon {
            self.schedule.run_soon();
        }
        if batch.requests.is_empty() {
            return Ok(());
        }
        let sent = BootTime::now();
        let call = self.connection.acquire(&batch.requests);
        let acquired = match self.held.revoke_expiring_during(call).await {
            Ok(acquired) => acquired,
            Err(error) => {
                self.on_redis_error(&error);
                return Ok(());
            }
        };
        if acquired.len() < batch.requests.len() {
            self.schedule.run_soon();
        }
        let is_acquired = |locked: &LockedShard| acquired.contains(&locked.lease.shard);
        for mut shard in batch.locked.into_iter().filter(is_acquired) {
            shard.sent = sent;
            shard.lock.write(shard.lease.epoch.0, false)?;
            // An answer that arrives when the lease is about to end is useless. The record names
            // this worker by now, and is acquired again.
            if BootTime::now() < self.times.closes_at(sent) {
                self.held.add(shard);
            }
        }
        Ok(())
    }

    fn is_redis_steady(&self) -> bool {
        let up_since = self.connection.server_up_since();
        up_since.is_some_and(|up| BootTime::now().since(up) >= self.times.takeover_wait())
    }

    /// A last heartbeat, to free what is closed and to delete the worker's own record.
    async fn say_goodbye(&mut self) {
        let request = HeartbeatRequest {
            name: self.me.name.clone(),
            incarnation: self.me.incarnation.clone(),
            goodbye: true,
            free: self.held.pending_releases(),
            ..HeartbeatRequest::default()
        };
        // Nothing depends on it: if it fails, the others wait for the leases to end.
        if let Err(error) = self.connection.heartbeat(&request).await {
            info!(%error, "could not announce to the other workers that this one has left");
        }
    }

    fn on_redis_error(&mut self, error: &RedisError) {
        if self.schedule.on_failure() {
            let redis = self.connection.endpoint();
            warn!(redis, %error, "Redis is unreachable; leases are not renewed");
        }
        self.held.unlock_closed();
    }

    fn on_redis_answer(&mut self) {
        if self.schedule.on_success() {
            info!(redis = self.connection.endpoint(), "Redis is back; renewing leases");
        }
    }

    fn log_unknown(&mut self, shards: usize) {
        let logged = std::mem::replace(&mut self.state.unknown_logged, shards > 0);
        if shards > 0 && !logged {
            info!(
                shards,
                wait_s = self.times.takeover_wait().as_secs_f64(),
                "some shards have no record; waiting in case an unseen worker owns them"
            );
        }
    }
}
