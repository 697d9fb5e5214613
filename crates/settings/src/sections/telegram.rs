use secrecy::SecretString;
use serde::Deserialize;

use crate::faults::SettingFaults;

/// `[telegram]`: how the accounts present themselves to Telegram.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelegramSettings {
    /// Application id from my.telegram.org. Required.
    pub api_id: Option<i32>,
    /// Application hash from my.telegram.org. Required. Secret.
    pub api_hash: Option<SecretString>,
    /// Master key, at least 16 bytes: each account's database is encrypted with a key derived from
    /// it. Required; databases cannot be opened with another one. Secret.
    pub master_key: Option<SecretString>,
    /// Device name in each account's session list. Default: `tdfleet`.
    pub device_model: String,
    /// IETF language tag of the client. Default: `en`.
    pub system_language_code: String,
    /// Whether the accounts are on Telegram's test data centres. Default: false.
    pub use_test_dc: bool,
    /// MTProto proxy for all accounts, if any.
    pub proxy: Option<ProxySettings>,
}

/// `[telegram.proxy]`: an MTProto proxy. Nothing else is reached: TDLib is kept to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxySettings {
    /// Address, or host name in ASCII.
    pub server: String,
    /// TCP port.
    pub port: u16,
    /// The proxy's secret, hexadecimal. Secret.
    pub secret: SecretString,
}

/// The required secrets and ids; see the fields of [`TelegramSettings`].
#[derive(Clone, Debug)]
pub struct TelegramCredentials {
    /// Application id.
    pub api_id: i32,
    /// Application hash. Secret.
    pub api_hash: SecretString,
    /// Master key of the databases. Secret.
    pub master_key: SecretString,
}

impl Default for TelegramSettings {
    fn default() -> Self {
        Self {
            api_id: None,
            api_hash: None,
            master_key: None,
            device_model: "tdfleet".to_owned(),
            system_language_code: "en".to_owned(),
            use_test_dc: false,
            proxy: None,
        }
    }
}

impl TelegramSettings {
    /// The credentials that opening an account needs.
    ///
    /// # Errors
    ///
    /// The settings that are missing.
    pub fn credentials(&self) -> Result<TelegramCredentials, SettingFaults> {
        match (self.api_id, self.api_hash.clone(), self.master_key.clone()) {
            (Some(api_id), Some(api_hash), Some(master_key)) => {
                Ok(TelegramCredentials { api_id, api_hash, master_key })
            }
            (id, hash, key) => {
                let mut faults = SettingFaults::default();
                let set = [
                    ("telegram.api_id", id.is_some()),
                    ("telegram.api_hash", hash.is_some()),
                    ("telegram.master_key", key.is_some()),
                ];
                for (name, _) in set.into_iter().filter(|(_, set)| !set) {
                    faults.add(name, "is required");
                }
                Err(faults)
            }
        }
    }

    pub(crate) fn check(&self, faults: &mut SettingFaults) {
        use secrecy::ExposeSecret;

        if self.device_model.is_empty() {
            faults.add("telegram.device_model", "must not be empty");
        }
        if self.system_language_code.is_empty() {
            faults.add("telegram.system_language_code", "must not be empty");
        }
        if self.master_key.as_ref().is_some_and(|key| key.expose_secret().len() < 16) {
            faults.add("telegram.master_key", "must have at least 16 bytes");
        }
    }
}
