//! The worker's process: starts its parts, opens and closes shards as their leases come and go, and
//! shuts the parts down in reverse order.
//!
//! Read in this order: `preflight` (what is checked first), `deployment` (the parts), [`Daemon`],
//! `shard_manager` (the shards). `embedded` and `supervisor` are two more ways to run a daemon.

mod adapters;
pub(crate) mod command_lines;
pub(crate) mod deployment;
pub(crate) mod embedded;
pub(crate) mod preflight;
mod shard_manager;
pub(crate) mod supervisor;

use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use owner_worker::Worker;
use ownership::{Ownership, OwnershipChange};
use publisher::EventLog;
use runtime::Signals;
use settings::Settings;
use tdlib::Tdlib;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::exit::success_if;
use deployment::{Deployment, WorkerStages};
use shard_manager::{SETTLE_TIMEOUT, ShardManager, ShardParts};

/// How often the number of accounts in the list of workers is brought up to date.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// How often a long shutdown logs its progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// `tdfleet worker`.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut daemon = Daemon::new(Deployment::on_servers(settings)?);
    daemon.serve(pending::<()>()).await;
    Ok(daemon.stop().await)
}

/// A running worker.
pub(crate) struct Daemon {
    stages: WorkerStages,
    signals: Signals,
    ownership: Ownership,
    log: EventLog,
    tdlib: Tdlib,
    worker: Arc<Worker>,
    shards: ShardManager,
    bus_connected: watch::Receiver<bool>,
    grace: Duration,
}

impl Daemon {
    /// A daemon on parts that have been started.
    pub(crate) fn new(deployment: Deployment) -> Self {
        let Deployment { stages, signals, ownership, log, tdlib, worker, bus, grace } = deployment;
        let bus_connected = bus.connected();
        let (log_of_shards, guard) = (log.clone(), ownership.guard());
        let of_shards = Arc::clone(&worker);
        let shards =
            ShardManager::new(ShardParts { bus, worker: of_shards, log: log_of_shards, guard });
        Self { stages, signals, ownership, log, tdlib, worker, shards, bus_connected, grace }
    }

    /// The event log that the worker writes to.
    pub(crate) fn log(&self) -> &EventLog {
        &self.log
    }

    /// Opens the shards that this worker gains and hands over those it is asked for, until a signal
    /// arrives, a vital part fails, or `until` completes; then returns its output.
    pub(crate) async fn serve<T>(&mut self, until: impl Future<Output = T>) -> Option<T> {
        let mut until = std::pin::pin!(until);
        let mut counting = tokio::time::interval(COUNT_INTERVAL);
        loop {
            self.ownership.set_bus_reachable(*self.bus_connected.borrow_and_update());
            tokio::select! {
                biased;
                () = self.stages.failed.cancelled() => return None,
                signal = self.signals.next() => {
                    info!(signal, grace_s = self.grace.as_secs(), "shutting down");
                    return None;
                }
                output = &mut until => return Some(output),
                change = self.ownership.next_change() => match change {
                    Ok(change) => self.on_change(change),
                    Err(error) => {
                        error!(error = runtime::error_chain(&error), "the store cannot be used");
                        self.stages.failed.cancel();
                    }
                },
                (shard, clean) = self.shards.next_closed() => self.ownership.release(shard, clean),
                Ok(()) = self.bus_connected.changed() => {}
                _ = counting.tick() => self.ownership.set_account_count(self.worker.account_count()),
            }
        }
    }

    fn on_change(&mut self, change: OwnershipChange) {
        match change {
            OwnershipChange::Acquired(lease) => self.shards.open(lease),
            OwnershipChange::HandOverRequested(shard) => {
                info!(%shard, "handing a shard over to another worker");
                self.shards.hand_over(shard, self.grace);
            }
            OwnershipChange::Lost(shard) => self.shards.close_now(shard),
        }
    }

    /// Hands over all shards and drains the parts; a second signal kills the process.
    ///
    /// The exit code is 0 if everything was drained and no vital part had failed.
    pub(crate) async fn stop(mut self) -> ExitCode {
        let failed = self.stages.failed.is_cancelled();
        let mut signals = self.signals;
        let drain = async {
            self.ownership.leave_fleet().await;
            hand_over_all(&mut self.ownership, &mut self.shards, self.grace).await;
            let mut clean = self.stages.intake.drain(SETTLE_TIMEOUT).await;
            clean &= self.stages.accounts.drain(SETTLE_TIMEOUT).await;
            // With nothing left to store it does not matter whether Redis is down.
            clean &= self.log.counters().queued == 0 || self.log.drain(SETTLE_TIMEOUT).await;
            self.tdlib.stop().await;
            clean & self.stages.output.drain(SETTLE_TIMEOUT).await
        };
        let clean = tokio::select! {
            biased;
            clean = drain => clean,
            signal = signals.next() => kill_own_process(signal),
        };
        if clean && !failed {
            info!("stopped");
        } else {
            error!(failed, clean, "stopped after a failure");
        }
        success_if(clean && !failed)
    }
}

/// Hands over every shard and logs the progress.
async fn hand_over_all(ownership: &mut Ownership, shards: &mut ShardManager, grace: Duration) {
    let finish_by = Instant::now() + grace;
    let (total, mut logged_at) = (shards.len(), Instant::now());
    while shards.len() > 0 {
        shards.hand_over_next(finish_by);
        tokio::select! {
            (shard, clean) = shards.next_closed() => ownership.release(shard, clean),
            // A lease gained now was never used: it is released as it is.
            change = ownership.next_change() => match change {
                Ok(OwnershipChange::Lost(shard)) => shards.close_now(shard),
                Ok(OwnershipChange::Acquired(lease)) => ownership.release(lease.shard, lease.clean),
                Ok(OwnershipChange::HandOverRequested(_)) | Err(_) => {}
            },
            () = tokio::time::sleep_until(logged_at + PROGRESS_INTERVAL) => {
                logged_at = Instant::now();
                info!(left = shards.len(), total, "still handing over shards");
            }
        }
    }
    info!(shards = total, "all shards released");
}

/// Kills this process, so that TDLib's threads cannot crash while being torn down.
fn kill_own_process(signal: &str) -> ! {
    warn!(signal, "second signal received; exiting immediately");
    let killed =
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    error!(?killed, "still alive");
    std::process::abort()
}
