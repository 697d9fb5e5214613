use std::net::Ipv6Addr;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::faults::SettingFaults;
use crate::proxy_secret;

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
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxySettings {
    /// Address, without brackets, or host name in ASCII. Required.
    pub server: String,
    /// TCP port. Required.
    pub port: u16,
    /// The proxy's secret, in one of the forms that TDLib takes: hexadecimal or base64 of 16 bytes, of
    /// `dd` and 16 bytes, or of `ee`, 16 bytes and a domain. Required. Secret.
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
        if self.api_id.is_some_and(|id| id < 1) {
            faults.add("telegram.api_id", "must be 1 or more");
        }
        if self.master_key.as_ref().is_some_and(|key| key.expose_secret().len() < 16) {
            faults.add("telegram.master_key", "must have at least 16 bytes");
        }
        if let Some(proxy) = &self.proxy {
            proxy.check(faults);
        }
    }
}

impl ProxySettings {
    /// TDLib would refuse such a proxy, and connect without one.
    fn check(&self, faults: &mut SettingFaults) {
        let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let is_name = self.server.chars().all(word) && !self.server.starts_with('.');
        if self.server.is_empty() {
            faults.add("telegram.proxy.server", "is required");
        } else if self.server.len() > 255 || !(is_name || self.server.parse::<Ipv6Addr>().is_ok()) {
            faults
                .add("telegram.proxy.server", "must be a host name or an address, without a port");
        }
        if self.port == 0 {
            faults.add("telegram.proxy.port", "is required, from 1 to 65535");
        }
        if !proxy_secret::is_valid(self.secret.expose_secret()) {
            let forms = "is required: hexadecimal or base64 of 16 bytes, of `dd` and 16 bytes, or of \
                         `ee`, 16 bytes and a domain";
            faults.add("telegram.proxy.secret", forms);
        }
    }
}
