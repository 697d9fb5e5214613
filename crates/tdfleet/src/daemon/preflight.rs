//! Everything that can be checked before any part of the worker runs.
//!
//! What is wrong here ends the process with one line: no task has started that could log another.

use anyhow::Context;
use contracts::{Names, ShardCount};
use owner_worker::WorkerConfig;
use runtime::Signals;
use settings::Settings;
use tdlib::{GuardError, Library};

use crate::installation;

/// What a worker is made from.
pub(super) struct Preflight {
    pub(super) names: Names,
    pub(super) shard_count: ShardCount,
    pub(super) config: WorkerConfig,
    pub(super) library: Library,
    pub(super) signals: Signals,
}

impl Preflight {
    /// Checks the settings, loads TDLib, and starts listening for signals.
    pub(super) fn run(settings: &Settings) -> anyhow::Result<Self> {
        let shard_count = installation::shard_count(settings)?;
        let mut config = worker_config(settings, shard_count)?;
        let crash_records = config.data_dir.join("crashes");
        let library =
            Library::load(&settings.tdlib.library, settings.tdlib.log_level, &crash_records)?;
        config.proxy_guard = guard_proxy(settings, &library);
        let signals = Signals::listen().context("cannot listen for signals")?;
        Ok(Self { names: installation::names(settings), shard_count, config, library, signals })
    }
}

/// Keeps TDLib to the proxy, if one is set. If that fails, no account opens.
pub(crate) fn guard_proxy(settings: &Settings, library: &Library) -> Result<(), GuardError> {
    if let Some(proxy) = &settings.telegram.proxy {
        library.guard()?.allow(&proxy.server, proxy.port);
    }
    Ok(())
}

fn worker_config(settings: &Settings, shard_count: ShardCount) -> anyhow::Result<WorkerConfig> {
    let Settings { worker, telegram, tdlib, .. } = settings;
    Ok(WorkerConfig {
        accounts: installation::account_ids(settings),
        shard_count,
        proxy_guard: Ok(()),
        credentials: telegram.credentials()?,
        telegram: telegram.clone(),
        timeout: tdlib.timeout(),
        late_timeout: tdlib.late_timeout(),
        opening: worker.opening.into(),
        spool: worker.spool(),
        pacing: settings.pacing.clone(),
        call_tdlib_methods: worker.call_tdlib_methods.iter().map(str::to_owned).collect(),
        data_dir: worker.data_dir.clone(),
    })
}
