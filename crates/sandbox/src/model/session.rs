use serde::{Deserialize, Serialize};

use crate::crypto::random;
use crate::keys::KeyId;

/// What a session tells of the device it runs on.
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

/// One place an account is logged in at.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "Telegram has as many flags")]
pub(crate) struct LoginSession {
    /// What other sessions name it by; never 0.
    pub(crate) hash: i64,
    /// The key it is held by; `None` for one that exists in the list only.
    pub(crate) key: Option<KeyId>,
    pub(crate) device: DeviceInfo,
    pub(crate) created: i32,
    pub(crate) active: i32,
    /// Its code was right, its password has not come yet.
    pub(crate) password_pending: bool,
    /// No other session has said that it is the owner's.
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

/// A site an account has logged in to through a bot.
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
