use std::time::Duration;

use contracts::AccountId;
use hkdf::Hkdf;
use settings::ExposeSecret;
use sha2::Sha256;
use tdlib::answers::ObjectType;
use tdlib::enums::ProxyType;
use tdlib::methods::{AddProxy, Close, OkAnswer, SetTdlibParameters};
use tdlib::types::{Proxy, ProxyTypeMtproto};
use tdlib::{CallError, Client, PendingCall, Tdlib, UpdateReceiver};
use tracing::warn;

use super::directory::AccountDirectory;
use crate::worker_context::WorkerContext;

/// How long each part of an opening may take: its files, TDLib's answers, and the account's first
/// authorization state.
pub(crate) const OPEN_TIMEOUT: Duration = Duration::from_mins(5);

/// How long TDLib may take to close an account's databases before that is logged.
const SLOW_CLOSE: Duration = Duration::from_secs(30);

/// An open account: its TDLib client, and the lock on its directory, which outlives the client.
pub(crate) struct OpenAccount {
    id: AccountId,
    pub(crate) client: Client,
    pub(crate) updates: UpdateReceiver,
    directory: AccountDirectory,
}

/// The calls that open an account: the proxy, if one is set, and the parameters.
type ParameterCalls = (Option<PendingCall<ObjectType>>, PendingCall<OkAnswer>);

impl OpenAccount {
    /// Creates the account's TDLib client.
    pub(super) fn new(id: AccountId, directory: AccountDirectory, tdlib: &Tdlib) -> Self {
        let (client, updates) = tdlib.client();
        Self { id, client, updates, directory }
    }

    /// Whether the account had an owner before of which Redis knows nothing.
    pub(crate) fn redis_lost_state(&self) -> bool {
        self.directory.redis_lost_state()
    }

    /// Sends TDLib the account's parameters: it opens the databases, then reports the authorization
    /// state. The proxy is sent first, so that no connection bypasses it.
    ///
    /// # Errors
    ///
    /// TDLib rejects them, for instance because the database key is wrong, or rejects the proxy.
    pub(crate) fn set_parameters(
        &self,
        shared: &WorkerContext,
    ) -> impl Future<Output = Result<(), CallError>> + Send + use<> {
        let sent = self.send_parameters(shared);
        async move {
            let (proxy, mut parameters) = sent?;
            // TDLib answers the proxy only once it has accepted the parameters.
            parameters.wait(OPEN_TIMEOUT).await?;
            if let Some(mut proxy) = proxy {
                proxy.wait(OPEN_TIMEOUT).await?;
            }
            Ok(())
        }
    }

    fn send_parameters(&self, shared: &WorkerContext) -> Result<ParameterCalls, CallError> {
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
            database_encryption_key: &database_key(credentials.master_key.expose_secret(), self.id),
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

    /// Asks TDLib to close the databases; its last update says that it has.
    pub(crate) fn close(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let account = self.id;
        match self.client.start(Close) {
            Ok(mut answer) => Some(async move {
                if let Err(CallError::Deadline) = answer.wait(SLOW_CLOSE).await {
                    warn!(account.id = %account, "TDLib is slow to close the account");
                }
            }),
            Err(error) => {
                warn!(account.id = %account, error = ?error, "cannot ask TDLib to close the account");
                None
            }
        }
    }
}

/// The key of an account's databases: 32 bytes derived from the master key (HKDF-SHA-256).
fn database_key(master: &str, account: AccountId) -> [u8; 32] {
    let mut key = [0; 32];
    let info = format!("tdfleet account {account} database");
    let derived = Hkdf::<Sha256>::new(None, master.as_bytes()).expand(info.as_bytes(), &mut key);
    debug_assert!(derived.is_ok(), "HKDF-SHA-256 derives up to 8160 bytes");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_a_key_of_its_own_that_never_changes() {
        let key = |id| database_key("0123456789abcdef", AccountId::new(id).unwrap());
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        assert_ne!(key(1), [0; 32]);
    }
}
