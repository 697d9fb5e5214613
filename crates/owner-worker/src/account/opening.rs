use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountId, Epoch};
use hkdf::Hkdf;
use runtime::CancellationToken;
use settings::ExposeSecret;
use sha2::Sha256;
use tdlib::enums::ProxyType;
use tdlib::methods::{AddProxy, SetTdlibParameters};
use tdlib::types::{Proxy, ProxyTypeMtproto};
use tdlib::{CallError, Client, Updates};
use tokio::sync::OwnedSemaphorePermit;

use super::directory::{Directory, DirectoryError};
use crate::worker::Shared;

/// How long TDLib may take to open an account's databases.
const OPENING: Duration = Duration::from_mins(5);

/// An open account: its TDLib client, and the lock on its directory for as long as that lives.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) updates: Updates,
    /// Given back when the account is open, so that not all open at once.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    directory: Directory,
}

/// Why an account was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// Its directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The process is ending.
    #[error("the worker is shutting down")]
    ShuttingDown,
}

impl Session {
    /// Locks the account's directory and makes its client, when its turn has come. TDLib knows
    /// nothing of the account yet.
    ///
    /// Until the directory is locked it can be `given_up`; the lock itself is always waited for, so
    /// that nobody holds it once this has ended.
    pub(super) async fn open(
        shared: Arc<Shared>,
        account: AccountId,
        epoch: Epoch,
        given_up: CancellationToken,
    ) -> Result<Self, OpenError> {
        let permit =
            given_up.run_until_cancelled(Arc::clone(&shared.opening).acquire_owned()).await;
        let permit = permit.and_then(Result::ok).ok_or(OpenError::ShuttingDown)?;
        let data_dir = shared.config.data_dir.clone();
        let locked =
            tokio::task::spawn_blocking(move || Directory::lock(&data_dir, account, epoch)).await;
        let directory = locked.map_err(|_| OpenError::ShuttingDown)??;
        let (client, updates) = shared.tdlib.client();
        Ok(Self { client, updates, permit: Some(permit), directory })
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

type Sent =
    (Option<tdlib::Pending<tdlib::types::AddedProxy>>, tdlib::Pending<tdlib::methods::Done>);

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
