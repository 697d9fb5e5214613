use std::io;
use std::sync::Arc;
use std::time::Duration;

use contracts::AccountId;
use log_port::{AccountLog, HeadField, OwnerToken};
use runtime::CancellationToken;
use tdlib::GuardError;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::crash_marker::{CrashHistory, CrashMarker};
use super::directory::{AccountDirectory, DirectoryError, RecordedState};
use super::open_account::{OPEN_TIMEOUT, OpenAccount};
use super::spool::Spool;
use crate::worker_context::WorkerContext;

/// How long to wait before an opening that has failed temporarily is retried.
const RETRY: Duration = Duration::from_millis(250);

/// How long an opening may fail temporarily before that is logged.
const SLOW_OPEN: Duration = Duration::from_secs(5);

/// Opens an account up to the point where TDLib has a client for it, but does not know the account
/// yet.
pub(crate) struct OpenTask {
    pub(crate) shared: Arc<WorkerContext>,
    pub(crate) log: Arc<dyn AccountLog>,
    pub(crate) recorded: RecordedState,
    /// Cancelled if the account is closed first.
    pub(crate) given_up: CancellationToken,
}

/// An account whose directory is locked.
pub(crate) struct OpenedAccount {
    // Dropped before the directory is unlocked.
    pub(crate) guard: OpeningGuard,
    pub(crate) account: OpenAccount,
    /// Events that an earlier owner could not publish.
    pub(crate) spool: Spool,
}

/// Held until TDLib has opened the account, or has failed to.
pub(crate) struct OpeningGuard {
    _marker: CrashMarker,
    _permits: OwnedSemaphorePermit,
}

/// Why an account was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The account has a proxy, and TDLib could go past it.
    #[error(
        "TDLib cannot be kept to telegram.proxy, because of its library: {0}; use the one that \
         `make tdlib` downloads"
    )]
    NotGuarded(GuardError),
    /// Something on its disk takes too long.
    #[error("the account's directory does not answer")]
    DiskTimeout,
    /// Its directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Its crash marker cannot be used.
    #[error("the account's crash marker cannot be read or written")]
    Marker(#[source] io::Error),
    /// The spool that an earlier owner left cannot be used.
    #[error("the account's spool cannot be read")]
    Spool(#[source] io::Error),
    /// It has crashed its process.
    #[error("{why}; it is not opened again until accounts/{account}/opening is deleted")]
    Quarantined {
        /// Which account.
        account: AccountId,
        /// What happened.
        why: String,
    },
    /// The account is closed, or the process is ending.
    #[error("the worker is shutting down")]
    ShuttingDown,
}

impl OpenError {
    /// Whether it may go away by itself: another process has the directory locked, or the disk is
    /// full, which TDLib does not survive.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Directory(DirectoryError::InUse) => true,
            Self::Directory(DirectoryError::Io(error))
            | Self::Marker(error)
            | Self::Spool(error) => error.kind() == io::ErrorKind::StorageFull,
            Self::Directory(_)
            | Self::NotGuarded(_)
            | Self::DiskTimeout
            | Self::Quarantined { .. }
            | Self::ShuttingDown => false,
        }
    }
}

impl OpenTask {
    /// Waits for a permit, locks the account's directory, sets the crash marker and creates the
    /// TDLib client; retries what may go away by itself. On an error the directory is not locked.
    pub(crate) async fn run(self) -> Result<OpenedAccount, OpenError> {
        let (started, mut warned) = (Instant::now(), false);
        loop {
            let error = match self.attempt().await {
                Err(error) if error.is_retryable() => runtime::error_chain(&error),
                result => return result,
            };
            let account = self.log.token().account;
            if started.elapsed() >= SLOW_OPEN && !std::mem::replace(&mut warned, true) {
                warn!(account.id = %account, error, "waiting to open account");
            } else {
                debug!(account.id = %account, error, "waiting to open account");
            }
            self.unless_given_up(sleep(RETRY)).await?;
        }
    }

    async fn attempt(&self) -> Result<OpenedAccount, OpenError> {
        self.shared.config.proxy_guard.clone().map_err(OpenError::NotGuarded)?;
        let mut permits = self.acquire_permits(1).await?;
        let directory = self.lock_directory().await?;
        let (history, spool) = self.read(&directory).await?;
        let account = self.log.token().account;
        let crashes = match &history {
            CrashHistory::Clean => None,
            CrashHistory::Crashed { crashes } => Some(*crashes),
            CrashHistory::Quarantined(why) => {
                return Err(OpenError::Quarantined { account, why: why.clone() });
            }
        };
        if crashes.is_some() {
            drop(permits);
            permits = self.acquire_permits(self.shared.config.opening.max(1)).await?;
        }
        let (path, now) = (directory.path().to_owned(), self.shared.clock.unix_seconds());
        let mark = move || CrashMarker::create(&path, now, &history).map_err(OpenError::Marker);
        let guard = OpeningGuard { _marker: blocking(mark).await?, _permits: permits };
        self.log.set_head_field(HeadField::Opened);
        if let Some(crashes) = crashes {
            warn!(account.id = %account, crashes, "a process died while opening the account; opening it alone");
        }
        let account = OpenAccount::new(account, directory, &self.shared.tdlib);
        Ok(OpenedAccount { guard, account, spool })
    }

    async fn lock_directory(&self) -> Result<AccountDirectory, OpenError> {
        let OwnerToken { account, epoch, .. } = self.log.token();
        let (data_dir, recorded) = (self.shared.config.data_dir.clone(), self.recorded);
        blocking(move || Ok(AccountDirectory::lock(&data_dir, account, epoch, recorded)?)).await
    }

    async fn read(&self, directory: &AccountDirectory) -> Result<(CrashHistory, Spool), OpenError> {
        let path = directory.path().to_owned();
        let records = self.shared.config.data_dir.join("crashes");
        let limit = self.shared.config.spool;
        blocking(move || {
            let history = CrashHistory::read(&path, &records).map_err(OpenError::Marker)?;
            Ok((history, Spool::open(&path, limit).map_err(OpenError::Spool)?))
        })
        .await
    }

    async fn acquire_permits(&self, number: usize) -> Result<OwnedSemaphorePermit, OpenError> {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let permits = Arc::clone(&self.shared.opening).acquire_many_owned(number);
        self.unless_given_up(permits).await?.map_err(|_| OpenError::ShuttingDown)
    }

    async fn unless_given_up<T>(&self, wait: impl Future<Output = T>) -> Result<T, OpenError> {
        self.given_up.run_until_cancelled(wait).await.ok_or(OpenError::ShuttingDown)
    }
}

/// Runs disk work on a blocking thread; it completes even if the future is dropped, or has waited for
/// too long.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    let done = timeout(OPEN_TIMEOUT, spawn_blocking(work)).await;
    done.map_err(|_| OpenError::DiskTimeout)?.map_err(|_| OpenError::ShuttingDown)?
}
