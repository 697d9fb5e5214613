use serde::{Deserialize, Serialize};

use crate::crypto::random;
use crate::keys::KeyId;

/// The device of a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DeviceInfo {
    pub(crate) model: String,
    pub(crate) platform: String,
    pub(crate) system_version: String,
    pub(crate) api_id: i32,
    pub(crate) app_name: String,
    pub(crate) app_version: String,
    pub(crate) ip: String,
    pub(crate) country: String,
}

/// One session of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "Telegram has as many flags")]
pub(crate) struct LoginSession {
    /// Its id for other sessions; never 0.
    pub(crate) hash: i64,
    /// The key that holds it; `None` for a session that exists in the list only.
    pub(crate) key: Option<KeyId>,
    pub(crate) device: DeviceInfo,
    pub(crate) created: i32,
    pub(crate) active: i32,
    /// Whether its password is still missing.
    pub(crate) password_pending: bool,
    /// Whether no other session has confirmed it.
    pub(crate) unconfirmed: bool,
    pub(crate) accepts_calls: bool,
    pub(crate) accepts_secret_chats: bool,
}

impl LoginSession {
    pub(crate) fn new(key: Option<KeyId>, device: DeviceInfo, now: i32) -> Self {
        let hash = i64::from_le_bytes(random()) | 1;
        Self {
            hash,
            key,
            device,
            created: now,
            active: now,
            password_pending: false,
            unconfirmed: false,
            accepts_calls: true,
            accepts_secret_chats: true,
        }
    }
}

/// A website that an account has logged in to through a bot.
#[derive(Clone, Debug)]
pub(crate) struct Website {
    pub(crate) hash: i64,
    pub(crate) bot: super::UserId,
    pub(crate) domain: String,
    pub(crate) browser: String,
    pub(crate) platform: String,
    pub(crate) created: i32,
    pub(crate) active: i32,
    pub(crate) ip: String,
    pub(crate) region: String,
}
