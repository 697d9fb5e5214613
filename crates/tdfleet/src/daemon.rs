//! A running worker: its parts, started inside-out and drained outside-in.

use std::collections::BTreeSet;
use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use broker::{Bus, Publisher};
use contracts::{AccountId, Names, Shard, ShardCount};
use futures_util::future::join_all;
use owner_worker::{Config, Worker};
use ownership::{Change, Ownership};
use publisher::EventLog;
use runtime::{CancellationToken, Clock, Signals, Stage};
use settings::{Settings, TdlibSettings, TelegramSettings, WorkerSettings};
use tdlib::{Library, Tdlib};
use tracing::{error, info, warn};

use crate::wire::{Intake, Log};

/// What settles and is stored after the accounts have closed may take this long on top.
const SETTLING: Duration = Duration::from_secs(10);

/// `tdfleet worker`.
pub(crate) async fn worker(settings: Settings) -> anyhow::Result<ExitCode> {
    let (mut daemon, _) = Daemon::start(settings, Place::Servers)?;
    daemon.serve(pending::<()>()).await?;
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
    worker: Arc<Worker>,
    bus: Bus,
    ownership: Ownership,
    owned: Vec<Shard>,
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

        let (listed, grace) = (shards(&settings, count), settings.worker.grace());
        let config = config(settings.worker, settings.telegram, &settings.tdlib, count)?;
        let ownership = Ownership::fixed(&config.data_dir, listed, Clock::system())?;
        let library = Library::load(
            &settings.tdlib.library,
            settings.tdlib.log_level,
            &config.data_dir.join("crashes"),
        )?;
        let names = Names::new(&settings.namespace);
        let log = match place {
            Place::Servers => EventLog::redis(&output, settings.publisher, names.clone())?,
            Place::Embedded => EventLog::in_process(&output, settings.publisher),
        };
        let tdlib = Tdlib::start(Arc::new(library), failed.clone())
            .context("cannot start TDLib's reader")?;
        let sink = Arc::new(Log(log.clone()));
        let worker = Worker::new(accounts.clone(), config, tdlib.clone(), sink, Clock::system());
        let worker = Arc::new(worker);
        let execute = Arc::new(Intake { worker: Arc::clone(&worker), count });
        let (bus, publisher) = match place {
            Place::Servers => (Bus::start(&intake, &settings.broker, names, count, execute)?, None),
            Place::Embedded => {
                let (bus, publisher) = Bus::in_process(&intake, count, execute);
                (bus, Some(publisher))
            }
        };
        let owned = Vec::new();
        let daemon = Self {
            failed,
            output,
            accounts,
            intake,
            log,
            tdlib,
            worker,
            bus,
            ownership,
            owned,
            signals,
            grace,
        };
        Ok((daemon, publisher))
    }

    /// Takes shards over as they become this worker's, until a signal comes, a vital part fails, or
    /// `until` is over; its output, if it was that.
    pub(crate) async fn serve<T>(
        &mut self,
        until: impl Future<Output = T>,
    ) -> anyhow::Result<Option<T>> {
        let mut until = std::pin::pin!(until);
        loop {
            tokio::select! {
                biased;
                () = self.failed.cancelled() => return Ok(None),
                signal = self.signals.next() => {
                    info!(signal, grace_s = self.grace.as_secs(), "shutting down");
                    return Ok(None);
                }
                output = &mut until => return Ok(Some(output)),
                change = self.ownership.next() => match change? {
                    Change::Gained(lease) => {
                        self.owned.push(lease.shard);
                        self.worker.open_shard(lease.shard, lease.epoch);
                        self.bus.subscribe(lease.shard);
                    }
                },
            }
        }
    }

    /// Gives every shard up and drains the parts; a second signal ends the process at once.
    ///
    /// The exit code is 0 after a clean drain of parts that had not failed.
    pub(crate) async fn stop(mut self) -> ExitCode {
        let failed = self.failed.is_cancelled();
        let mut signals = self.signals;
        let drain = async {
            let hand_over = self.owned.iter().map(|&shard| {
                let (bus, worker) = (&self.bus, &self.worker);
                async move {
                    let (settled, ()) = tokio::join!(
                        bus.unsubscribe(shard, self.grace + SETTLING),
                        worker.close_shard(shard, self.grace),
                    );
                    settled
                }
            });
            let settled = join_all(hand_over).await.into_iter().filter(|settled| *settled).count();
            let left = self.owned.len() - settled;
            if left > 0 {
                info!(shards = left, "unfinished commands are left to redelivery");
            }
            let mut clean = self.intake.drain(SETTLING).await;
            clean &= self.accounts.drain(SETTLING).await;
            // With nothing to store it does not matter that Redis may be away.
            clean &= self.log.counters().queued == 0 || self.log.drain(SETTLING).await;
            self.tdlib.stop().await;
            for shard in self.owned.drain(..) {
                self.ownership.release(shard);
            }
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

/// What the worker is made for.
fn config(
    worker: WorkerSettings,
    telegram: TelegramSettings,
    tdlib: &TdlibSettings,
    shard_count: ShardCount,
) -> anyhow::Result<Config> {
    Ok(Config {
        accounts: account_ids(&worker.accounts),
        shard_count,
        credentials: telegram.credentials()?,
        telegram,
        timeout: Duration::from_secs(tdlib.timeout_s),
        opening: worker.opening.into(),
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

fn shards(settings: &Settings, count: ShardCount) -> Vec<Shard> {
    let listed = &settings.worker.shards;
    let all = listed.is_empty();
    let listed: BTreeSet<u64> = listed.iter().collect();
    count.shards().filter(|shard| all || listed.contains(&shard.0.into())).collect()
}

/// The accounts as ids; the settings have refused numbers that are none.
pub(crate) fn account_ids(ranges: &settings::Ranges) -> BTreeSet<AccountId> {
    ranges.iter().filter_map(|id| AccountId::new(i64::try_from(id).ok()?)).collect()
}
