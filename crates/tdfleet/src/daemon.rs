//! A running worker: its parts, started inside-out and drained outside-in.

mod custody;

use std::collections::BTreeSet;
use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use broker::{Bus, Publisher};
use contracts::{AccountId, Names, ShardCount};
use owner_worker::{Worker, WorkerConfig, WorkerPorts};
use ownership::{Change, LeaseConfig, Ownership};
use publisher::EventLog;
use runtime::{CancellationToken, Clock, Signals, Stage};
use settings::{Settings, TdlibSettings, TelegramSettings, WorkerSettings};
use tdlib::{Library, Tdlib};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::wire::{Intake, Replies};
use custody::{Custody, Hands};

/// What settles and is stored after the accounts have closed may take this long on top.
const SETTLING: Duration = Duration::from_secs(10);

/// How often a long shutdown says how far it is.
const REPORT: Duration = Duration::from_secs(5);

/// `tdfleet worker`.
pub(crate) async fn worker(settings: Settings) -> anyhow::Result<ExitCode> {
    let (mut daemon, _) = Daemon::start(settings, Place::Servers)?;
    daemon.serve(pending::<()>()).await;
    Ok(daemon.stop().await)
}

/// Where commands come from and events go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// RabbitMQ and Redis.
    Servers,
    /// This process alone.
    Embedded,
}

/// The parts of a worker.
pub(crate) struct Daemon {
    failed: CancellationToken,
    output: Stage,
    accounts: Stage,
    intake: Stage,
    pub(crate) log: EventLog,
    tdlib: Tdlib,
    ownership: Ownership,
    custody: Custody,
    bus_up: watch::Receiver<bool>,
    signals: Signals,
    grace: Duration,
}

impl Daemon {
    /// Starts the parts. An embedded daemon has a publisher of its own; to a worker on servers
    /// commands come from elsewhere.
    pub(crate) fn start(
        settings: Settings,
        place: Place,
    ) -> anyhow::Result<(Self, Option<Publisher>)> {
        let signals = Signals::listen().context("cannot listen for signals")?;
        let count = ShardCount::new(settings.shard_count).context("shard_count is out of range")?;
        let failed = CancellationToken::new();
        let [output, accounts, intake] =
            ["output", "accounts", "intake"].map(|name| Stage::new(name, &failed));

        let names = Names::new(&settings.namespace);
        let grace = settings.worker.grace();
        let ownership = ownership(&output, &settings, place, count)?;
        let config = config(settings.worker, settings.telegram, &settings.tdlib, count)?;
        let library = Library::load(
            &settings.tdlib.library,
            settings.tdlib.log_level,
            &config.data_dir.join("crashes"),
        )?;
        let log = match place {
            Place::Servers => EventLog::redis(&output, settings.publisher, names.clone())?,
            Place::Embedded => EventLog::in_process(&output, settings.publisher),
        };
        let tdlib = Tdlib::start(Arc::new(library), failed.clone())
            .context("cannot start TDLib's reader")?;
        let replies = Arc::new(Replies::default());
        let ports = WorkerPorts { log: Arc::new(log.clone()), replies: Arc::clone(&replies) as _ };
        let worker = Worker::new(accounts.clone(), config, tdlib.clone(), ports, Clock::system());
        let worker = Arc::new(worker);
        let guard = ownership.guard();
        let execute = Arc::new(Intake { worker: Arc::clone(&worker), guard: guard.clone(), count });
        let (bus, publisher) = match place {
            Place::Servers => (Bus::start(&intake, &settings.broker, names, count, execute)?, None),
            Place::Embedded => {
                let (bus, publisher) = Bus::in_process(&intake, count, execute);
                (bus, Some(publisher))
            }
        };
        replies.go_by(bus.clone());
        let bus_up = bus.connected();
        let custody = Custody::new(Hands { bus, worker, log: log.clone(), guard });
        let daemon = Self {
            failed,
            output,
            accounts,
            intake,
            log,
            tdlib,
            ownership,
            custody,
            bus_up,
            signals,
            grace,
        };
        Ok((daemon, publisher))
    }

    /// Takes shards over as they become this worker's and gives them up as it is asked to, until a
    /// signal comes, a vital part fails, or `until` is over; its output, if it was that.
    pub(crate) async fn serve<T>(&mut self, until: impl Future<Output = T>) -> Option<T> {
        let mut until = std::pin::pin!(until);
        loop {
            self.ownership.set_bus(*self.bus_up.borrow_and_update());
            tokio::select! {
                biased;
                () = self.failed.cancelled() => return None,
                signal = self.signals.next() => {
                    info!(signal, grace_s = self.grace.as_secs(), "shutting down");
                    return None;
                }
                output = &mut until => return Some(output),
                change = self.ownership.next() => match change {
                    Ok(change) => self.on_change(change),
                    Err(error) => {
                        error!(error = runtime::chain(&error), "the store cannot be used");
                        self.failed.cancel();
                    }
                },
                (shard, clean) = self.custody.next() => self.ownership.release(shard, clean),
                Ok(()) = self.bus_up.changed() => {}
            }
        }
    }

    fn on_change(&mut self, change: Change) {
        match change {
            Change::Gained(lease) => self.custody.gain(lease),
            Change::Asked(shard) => {
                info!(%shard, "handing a shard over to another worker");
                self.custody.hand_over(shard, self.grace);
            }
            Change::Lost(shard) => self.custody.drop_now(shard),
        }
    }

    /// Gives every shard up and drains the parts; a second signal ends the process at once.
    ///
    /// The exit code is 0 after a clean drain of parts that had not failed.
    pub(crate) async fn stop(mut self) -> ExitCode {
        let failed = self.failed.is_cancelled();
        let mut signals = self.signals;
        let drain = async {
            self.ownership.leave().await;
            hand_all_over(&mut self.ownership, &mut self.custody, self.grace).await;
            let mut clean = self.intake.drain(SETTLING).await;
            clean &= self.accounts.drain(SETTLING).await;
            // With nothing to store it does not matter that Redis may be away.
            clean &= self.log.counters().queued == 0 || self.log.drain(SETTLING).await;
            self.tdlib.stop().await;
            clean & self.output.drain(SETTLING).await
        };
        let clean = tokio::select! {
            biased;
            clean = drain => clean,
            signal = signals.next() => end_at_once(signal),
        };
        if clean && !failed {
            info!("stopped");
            return ExitCode::SUCCESS;
        }
        error!(failed, clean, "stopped after a failure");
        ExitCode::FAILURE
    }
}

/// Hands every shard over, and says how far that is.
async fn hand_all_over(ownership: &mut Ownership, custody: &mut Custody, grace: Duration) {
    let finish_by = Instant::now() + grace;
    let (all, mut told) = (custody.len(), Instant::now());
    while custody.len() > 0 {
        custody.hand_all_over(finish_by);
        tokio::select! {
            (shard, clean) = custody.next() => ownership.release(shard, clean),
            // What is gained now is handed over with the rest.
            change = ownership.next() => match change {
                Ok(Change::Lost(shard)) => custody.drop_now(shard),
                Ok(Change::Gained(lease)) => ownership.release(lease.shard, lease.clean),
                Ok(Change::Asked(_)) | Err(_) => {}
            },
            () = tokio::time::sleep_until(told + REPORT) => {
                told = Instant::now();
                info!(left = custody.len(), all, "still handing shards over");
            }
        }
    }
    info!(shards = all, "every shard is given up");
}

/// Who shares the shards with whom.
fn ownership(
    stage: &Stage,
    settings: &Settings,
    place: Place,
    count: ShardCount,
) -> anyhow::Result<Ownership> {
    let data_dir = &settings.worker.data_dir;
    Ok(match place {
        Place::Embedded => Ownership::in_process(data_dir, count, Clock::system())?,
        Place::Servers => {
            let config = LeaseConfig {
                settings: settings.ownership.clone(),
                uri: settings.publisher.uri.clone(),
                timeout: settings.publisher.timeout(),
                names: Names::new(&settings.namespace),
                count,
                data_dir: data_dir.clone(),
                clock: Clock::system(),
            };
            Ownership::leases(stage, config)?
        }
    })
}

/// What the worker is made for.
fn config(
    worker: WorkerSettings,
    telegram: TelegramSettings,
    tdlib: &TdlibSettings,
    shard_count: ShardCount,
) -> anyhow::Result<WorkerConfig> {
    Ok(WorkerConfig {
        accounts: account_ids(&worker.accounts),
        shard_count,
        credentials: telegram.credentials()?,
        telegram,
        timeout: Duration::from_secs(tdlib.timeout_s),
        opening: worker.opening.into(),
        spool: worker.spool(),
        call_tdlib_methods: worker.call_tdlib_methods.iter().map(str::to_owned).collect(),
        data_dir: worker.data_dir,
    })
}

/// Ends the process without giving TDLib's threads the chance to crash in its tear-down.
fn end_at_once(signal: &str) -> ! {
    warn!(signal, "a second signal: ending at once");
    let killed =
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    error!(?killed, "still alive");
    std::process::abort()
}

/// The accounts as ids; the settings have refused numbers that are none.
pub(crate) fn account_ids(ranges: &settings::Ranges) -> BTreeSet<AccountId> {
    ranges.iter().filter_map(|id| AccountId::new(i64::try_from(id).ok()?)).collect()
}
