//! The one task that writes: takes jobs in batches, keeps their order, survives outages of the
//! store.

mod account;
mod batch_call;
mod batch_encoder;
mod metrics;
mod queue;
mod replay;
mod state;
mod task;
mod task_batch;

use std::mem;
use std::time::Duration;

use runtime::CancellationToken;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use crate::store::{LogStore, StoreError, retry_backoff};
use batch_call::BatchCall;
use task_batch::BATCH_SIZE;

pub(crate) use metrics::WriterMetrics;
pub(crate) use queue::WriterQueue;
pub(crate) use state::WriterState;
pub(crate) use task::{AdmitTask, AppendTask, PushTask, WriterJob, WriterTask};

/// How often an idle store is pinged, and refused requests are retried.
const TICK: Duration = Duration::from_secs(1);

pub(crate) struct LogWriter<S> {
    store: S,
    jobs: mpsc::UnboundedReceiver<WriterJob>,
    state: WriterState,
    /// Calls in flight when the store was lost: retried unchanged, so that the store recognises
    /// those that it did execute.
    retained: Vec<BatchCall>,
    connected: watch::Sender<bool>,
    /// Whether the present outage has been logged.
    outage_logged: bool,
    stop: CancellationToken,
}

impl<S: LogStore> LogWriter<S> {
    pub(crate) fn new(
        store: S,
        jobs: mpsc::UnboundedReceiver<WriterJob>,
        connected: watch::Sender<bool>,
        state: WriterState,
        stop: CancellationToken,
    ) -> Self {
        let retained = Vec::new();
        Self { store, jobs, state, retained, connected, outage_logged: false, stop }
    }

    /// Writes until the stage stops or the last handle of the log is dropped; then stores what is
    /// queued, if the store accepts it, and closes the rest.
    pub(crate) async fn run(mut self) {
        if self.reconnect().await {
            self.write().await;
        }
        self.jobs.close();
        while let Ok(job) = self.jobs.try_recv() {
            self.state.enqueue(job);
        }
        if *self.connected.borrow()
            && let Err(error) = self.drain().await
        {
            warn!(
                redis = self.store.endpoint(),
                error = runtime::error_chain(&error),
                "events are lost"
            );
        }
        self.connected.send_replace(false);
        self.retained.drain(..).for_each(|call| self.state.close(call));
        self.state.close_all();
    }

    async fn write(&mut self) {
        let mut jobs = Vec::with_capacity(BATCH_SIZE);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.stop.clone();
        loop {
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = tick.tick() => self.tick().await,
                received = self.jobs.recv_many(&mut jobs, BATCH_SIZE) => {
                    if received == 0 {
                        return;
                    }
                    jobs.drain(..).for_each(|job| self.state.enqueue(job));
                    self.drain().await
                }
            };
            if let Err(error) = outcome {
                self.log_outage(&error);
                if !self.reconnect().await {
                    return;
                }
            }
        }
    }

    async fn tick(&mut self) -> Result<(), StoreError> {
        self.store.ping().await?;
        self.state.retry_refused();
        self.drain().await
    }

    /// Executes everything that waits.
    async fn drain(&mut self) -> Result<(), StoreError> {
        loop {
            let mut calls = self.state.restores();
            if calls.is_empty() {
                calls = self.state.next_batch();
            }
            if calls.is_empty() {
                break;
            }
            self.execute(calls).await?;
        }
        self.state.finish_flushes();
        Ok(())
    }

    /// One round trip for all calls; those without a response are retained.
    async fn execute(&mut self, calls: Vec<BatchCall>) -> Result<(), StoreError> {
        let (requests, tasks): (Vec<_>, Vec<_>) = calls.into_iter().map(BatchCall::split).unzip();
        let outcome = self.store.execute(&requests).await;
        let calls = requests.into_iter().zip(tasks).map(BatchCall::join);
        match outcome {
            Ok(responses) => {
                for (call, response) in calls.zip(responses) {
                    self.state.apply(call, response);
                }
                if self.state.take_lost_events() { Err(StoreError::LostEvents) } else { Ok(()) }
            }
            Err(error) => {
                for call in calls {
                    self.retained.extend(self.state.retain(call));
                }
                Err(error)
            }
        }
    }

    /// Retries until the store accepts events again; `false` when the stage stops first.
    async fn reconnect(&mut self) -> bool {
        self.connected.send_replace(false);
        let mut backoff = retry_backoff();
        while let Err(error) = self.attach().await {
            self.log_outage(&error);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = sleep(backoff.next_delay()) => {}
            }
        }
        if mem::take(&mut self.outage_logged) {
            info!(redis = self.store.endpoint(), "redis is accepting writes again");
        }
        self.connected.send_replace(true);
        true
    }

    /// Connects, and brings the store up to date before anything new is sent. The order matters:
    ///
    /// 1. Claims compare every head with what was stored.
    /// 2. Lost events are restored, with the completions in them.
    /// 3. Dispatches and head fields are replayed: a ledger that has forgotten what is done must not
    ///    be asked.
    /// 4. Calls that were in flight are retried, then everything that waits is executed.
    async fn attach(&mut self) -> Result<(), StoreError> {
        self.store.connect().await?;
        let claims = self.state.claims();
        self.execute_all(claims).await?;
        let restores = self.state.restores();
        self.execute_all(restores).await?;
        for round in self.state.replays() {
            self.execute_all(round).await?;
        }
        let retained = mem::take(&mut self.retained);
        self.execute(retained).await?;
        self.drain().await
    }

    /// Executes the writer's own calls, one batch at a time.
    async fn execute_all(&mut self, mut calls: Vec<BatchCall>) -> Result<(), StoreError> {
        while !calls.is_empty() {
            let rest = calls.split_off(calls.len().min(BATCH_SIZE));
            self.execute(calls).await?;
            calls = rest;
        }
        Ok(())
    }

    /// Logs an outage once.
    fn log_outage(&mut self, error: &StoreError) {
        if !mem::replace(&mut self.outage_logged, true) {
            warn!(
                redis = self.store.endpoint(),
                error = runtime::error_chain(error),
                "redis is not accepting writes; retrying"
            );
        }
    }
}
