//! Everything that can be checked before any part of the worker runs.
//!
//! What is wrong here ends the process with one line: no task has started that could log another.

use std::path::Path;

use anyhow::Context;
use contracts::{Names, ShardCount};
use owner_worker::WorkerConfig;
use runtime::Signals;
use settings::{SettingFault, SettingFaults, Settings, TdlibSettings};
use tdlib::{GuardError, Library, LibraryFile};

use crate::installation::{self, MacKeys};
use crate::process::OpenFileLimit;
use crate::store;

/// What a worker is made from.
pub(super) struct Preflight {
    pub(super) names: Names,
    pub(super) shard_count: ShardCount,
    pub(super) keys: MacKeys,
    pub(super) config: WorkerConfig,
    pub(super) library: Library,
    pub(super) signals: Signals,
}

impl Preflight {
    /// Checks the settings against this machine, loads TDLib, and starts listening for signals. The
    /// first thing that it creates is the store, when everything else is sound.
    ///
    /// # Errors
    ///
    /// What is wrong; [`SettingFaults`] where a setting has to be corrected.
    pub(super) fn run(settings: &Settings) -> anyhow::Result<Self> {
        let shard_count = installation::shard_count(settings)?;
        let mut config = worker_config(settings, shard_count)?;
        let keys = installation::mac_keys(settings).context("telegram.master_key is required")?;
        raise_open_files(&config)?;
        store::access::make_private(&config.data_dir)
            .map_err(|error| fault("worker.data_dir", &error))?;
        let library = load_library(&settings.tdlib, &config.data_dir)?;
        config.proxy_guard = guard_proxy(settings, &library);
        store::key_check::verify_or_create(&config.data_dir, &config.credentials.master_key)?;
        let signals = Signals::listen().context("cannot listen for signals")?;
        let names = installation::names(settings);
        Ok(Self { names, shard_count, keys, config, library, signals })
    }
}

/// Keeps TDLib to the proxy, if one is set. If that fails, no account opens.
pub(crate) fn guard_proxy(settings: &Settings, library: &Library) -> Result<(), GuardError> {
    if let Some(proxy) = &settings.telegram.proxy {
        library.guard()?.allow(&proxy.server, proxy.port);
    }
    Ok(())
}

/// Raises the limit of open files, and refuses accounts that do not fit below it.
fn raise_open_files(config: &WorkerConfig) -> anyhow::Result<()> {
    let limit = OpenFileLimit::of_worker(config.accounts.len(), config.shard_count.get());
    if limit.is_too_low() {
        let problem =
            format!("{}: raise the hard limit (ulimit -Hn, LimitNOFILE)", limit.describe());
        return Err(fault("worker.accounts", &problem));
    }
    limit.raise().context("cannot raise the limit of open files")
}

fn load_library(tdlib: &TdlibSettings, data_dir: &Path) -> anyhow::Result<Library> {
    let file = LibraryFile::verify(&tdlib.library, tdlib.sha256.as_deref())?;
    Ok(Library::load(&file, tdlib.log_level, &data_dir.join("crashes"))?)
}

/// What is wrong between a setting and this machine: a restart does not help either.
fn fault(setting: &str, problem: &impl ToString) -> anyhow::Error {
    let (setting, problem) = (setting.to_owned(), problem.to_string());
    SettingFaults::from(SettingFault { setting, problem }).into()
}

fn worker_config(settings: &Settings, shard_count: ShardCount) -> anyhow::Result<WorkerConfig> {
    let Settings { limits, worker, telegram, tdlib, .. } = settings;
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
        show_service_codes: worker.show_service_codes,
        callers: settings.callers.clone(),
        pacing: settings.pacing.clone(),
        deadline: limits.deadline(),
        call_tdlib_methods: worker.call_tdlib_methods.iter().map(str::to_owned).collect(),
        data_dir: worker.data_dir.clone(),
    })
}
