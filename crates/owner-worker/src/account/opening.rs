use std::io;
use std::sync::Arc;
use std::time::Duration;

use contracts::AccountId;
use hkdf::Hkdf;
use log_port::{AccountLog, HeadField, OwnerToken};
use runtime::CancellationToken;
use settings::ExposeSecret;
use sha2::Sha256;
use tdlib::enums::ProxyType;
use tdlib::methods::{AddProxy, SetTdlibParameters};
use tdlib::types::{Proxy, ProxyTypeMtproto};
use tdlib::{CallError, Client, UpdateReceiver};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::directory::{Directory, DirectoryError, History};
use super::mark::{Mark, Trace};
use super::spool::Spool;
use crate::worker::Shared;

/// How long TDLib may take to open an account's databases.
const OPENING: Duration = Duration::from_mins(5);

/// How often an opening that something stands in the way of is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// How long that may last before it is logged.
const LONG: Duration = Duration::from_secs(5);

/// An open account: its TDLib client, and the lock on its directory for as long as that lives.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) updates: UpdateReceiver,
    /// Dropped when TDLib has opened the account, or cannot.
    pub(super) starting: Option<Starting>,
    directory: Directory,
}

/// What an account has while TDLib opens it.
pub(super) struct Starting {
    _mark: Mark,
    /// Its places among those that are opened at the same time.
    _places: OwnedSemaphorePermit,
}

/// Why an account was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// Its directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Whether it has ended its process before cannot be read or written down.
    #[error("the mark of the account's opening cannot be read or written")]
    Mark(#[source] io::Error),
    /// What an earlier owner has left to be told cannot be read.
    #[error("the account's spool cannot be read")]
    Spool(#[source] io::Error),
    /// It has ended its process before.
    #[error("{why}; it is not opened again until accounts/{account}/opening is deleted")]
    Latched {
        /// Which account.
        account: AccountId,
        /// What has happened.
        why: String,
    },
    /// The account is closed, or the process is ending.
    #[error("the worker is shutting down")]
    ShuttingDown,
}

impl OpenError {
    /// Whether it may go away by itself: another process has the directory locked, or the disk is
    /// full, which TDLib does not survive.
    fn passes(&self) -> bool {
        match self {
            Self::Directory(DirectoryError::InUse) => true,
            Self::Directory(DirectoryError::Io(error)) | Self::Mark(error) | Self::Spool(error) => {
                error.kind() == io::ErrorKind::StorageFull
            }
            Self::Directory(_) | Self::Latched { .. } | Self::ShuttingDown => false,
        }
    }
}

/// An opening that is under way.
pub(super) struct Opening {
    pub(super) shared: Arc<Shared>,
    pub(super) log: Arc<dyn AccountLog>,
    pub(super) history: History,
    /// Cancelled when the account is closed before it is open.
    pub(super) given_up: CancellationToken,
}

impl Opening {
    /// Locks the account's directory, marks it and makes its client, when its turn has come and
    /// nothing stands in the way any more; with what an earlier owner has left to be told. TDLib
    /// knows nothing of the account yet.
    ///
    /// Nobody holds the lock once this has ended otherwise.
    pub(super) async fn run(self) -> Result<(Session, Spool), OpenError> {
        let (begun, mut told) = (Instant::now(), false);
        loop {
            let error = match self.attempt().await {
                Err(error) if error.passes() => runtime::error_chain(&error),
                done => return done,
            };
            let account = self.log.token().account;
            if begun.elapsed() >= LONG && !std::mem::replace(&mut told, true) {
                warn!(account.id = %account, error, "the account waits to be opened");
            } else {
                debug!(account.id = %account, error, "the account waits to be opened");
            }
            self.unless_given_up(sleep(RETRY)).await?;
        }
    }

    async fn attempt(&self) -> Result<(Session, Spool), OpenError> {
        let mut places = self.places(1).await?;
        let directory = self.lock().await?;
        let (trace, spool) = self.read(&directory).await?;
        let account = self.log.token().account;
        let deaths = match &trace {
            Trace::None => None,
            Trace::Died { deaths } => Some(*deaths),
            Trace::Latched(why) => {
                return Err(OpenError::Latched { account, why: why.clone() });
            }
        };
        if deaths.is_some() {
            drop(places);
            places = self.places(self.shared.config.opening.max(1)).await?;
        }
        let (path, now) = (directory.path().to_owned(), self.shared.clock.unix_seconds());
        let set = move || Mark::set(&path, now, &trace).map_err(OpenError::Mark);
        let starting = Starting { _mark: blocking(set).await?, _places: places };
        self.log.set_head_field(HeadField::Opened);
        if let Some(deaths) = deaths {
            warn!(account.id = %account, deaths, "a process died opening the account: opening it alone");
        }
        let (client, updates) = self.shared.tdlib.client();
        Ok((Session { client, updates, starting: Some(starting), directory }, spool))
    }

    async fn lock(&self) -> Result<Directory, OpenError> {
        let OwnerToken { account, epoch, .. } = self.log.token();
        let (data_dir, history) = (self.shared.config.data_dir.clone(), self.history);
        blocking(move || Ok(Directory::lock(&data_dir, account, epoch, history)?)).await
    }

    async fn read(&self, directory: &Directory) -> Result<(Trace, Spool), OpenError> {
        let path = directory.path().to_owned();
        let crashes = self.shared.config.data_dir.join("crashes");
        let limit = self.shared.config.spool;
        blocking(move || {
            let trace = Trace::find(&path, &crashes).map_err(OpenError::Mark)?;
            Ok((trace, Spool::open(&path, limit).map_err(OpenError::Spool)?))
        })
        .await
    }

    async fn places(&self, number: usize) -> Result<OwnedSemaphorePermit, OpenError> {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let places = Arc::clone(&self.shared.opening).acquire_many_owned(number);
        self.unless_given_up(places).await?.map_err(|_| OpenError::ShuttingDown)
    }

    async fn unless_given_up<T>(&self, wait: impl Future<Output = T>) -> Result<T, OpenError> {
        self.given_up.run_until_cancelled(wait).await.ok_or(OpenError::ShuttingDown)
    }
}

/// Runs what touches the disk to its end, even if nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    spawn_blocking(work).await.map_err(|_| OpenError::ShuttingDown)?
}

impl Session {
    /// Whether the account had an owner before of which Redis knows nothing any more.
    pub(super) fn is_forgotten(&self) -> bool {
        self.directory.is_forgotten()
    }

    /// Gives TDLib the account's parameters: it opens the databases and says where the account
    /// stands. The proxy goes first, so that no connection goes around it.
    ///
    /// # Errors
    ///
    /// TDLib refuses them, such as for a wrong database key.
    pub(super) fn set_parameters(
        &self,
        shared: &Shared,
        account: AccountId,
    ) -> impl Future<Output = Result<(), CallError>> + Send + use<> {
        let sent = self.send_parameters(shared, account);
        async move {
            let (proxy, mut parameters) = sent?;
            if let Some(mut proxy) = proxy {
                proxy.wait(OPENING).await?;
            }
            parameters.wait(OPENING).await.map(drop)
        }
    }

    fn send_parameters(&self, shared: &Shared, account: AccountId) -> Result<Sent, CallError> {
        let telegram = &shared.config.telegram;
        let proxy = telegram.proxy.as_ref().map(|proxy| Proxy {
            server: proxy.server.clone(),
            port: proxy.port.into(),
            r#type: ProxyType::Mtproto(ProxyTypeMtproto {
                secret: proxy.secret.expose_secret().to_owned(),
            }),
        });
        let add = |proxy| self.client.start(AddProxy { proxy, enable: true });
        let proxy = proxy.map(add).transpose()?;
        let credentials = &shared.config.credentials;
        let parameters = self.client.start(SetTdlibParameters {
            use_test_dc: telegram.use_test_dc,
            database_directory: &self.directory.database(),
            files_directory: &self.directory.files(),
            database_encryption_key: &database_key(credentials.master_key.expose_secret(), account),
            use_file_database: true,
            use_chat_info_database: true,
            use_message_database: true,
            use_secret_chats: false,
            api_id: credentials.api_id,
            api_hash: credentials.api_hash.expose_secret(),
            system_language_code: &telegram.system_language_code,
            device_model: &telegram.device_model,
            system_version: "",
            application_version: env!("CARGO_PKG_VERSION"),
        })?;
        Ok((proxy, parameters))
    }
}

type Sent = (
    Option<tdlib::PendingCall<tdlib::types::AddedProxy>>,
    tdlib::PendingCall<tdlib::methods::OkAnswer>,
);

/// The key of one account's databases, 32 bytes derived from the master key (HKDF-SHA-256).
fn database_key(master: &str, account: AccountId) -> [u8; 32] {
    let mut key = [0; 32];
    let info = format!("tdfleet account {account} database");
    let derived = Hkdf::<Sha256>::new(None, master.as_bytes()).expand(info.as_bytes(), &mut key);
    debug_assert!(derived.is_ok(), "HKDF-SHA-256 gives up to 8160 bytes");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_a_key_of_its_own_and_keeps_it() {
        let key = |id| database_key("0123456789abcdef", AccountId::new(id).unwrap());
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        assert_ne!(key(1), [0; 32]);
    }
}
