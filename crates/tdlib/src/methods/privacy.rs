use serde::Serialize;

use super::{OkAnswer, method};
use crate::answers::PrivacyRules;
use crate::enums::UserPrivacySetting;
use crate::types::{ArchiveChatListSettings, NewChatPrivacySettings, ReadDatePrivacySettings};

/// The rules of one privacy setting.
#[derive(Clone, Debug, Serialize)]
pub struct GetUserPrivacySettingRules {
    /// The setting.
    pub setting: UserPrivacySetting,
}
method!(GetUserPrivacySettingRules, "getUserPrivacySettingRules", PrivacyRules);

/// Replaces the rules of one privacy setting.
///
/// TDLib silently drops users and chats it does not know.
#[derive(Clone, Debug, Serialize)]
pub struct SetUserPrivacySettingRules {
    /// The setting.
    pub setting: UserPrivacySetting,
    /// The rules, in order; the first that matches decides.
    pub rules: PrivacyRules,
}
method!(SetUserPrivacySettingRules, "setUserPrivacySettingRules", OkAnswer);

/// How new chats and the archive are handled.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetArchiveChatListSettings;
method!(GetArchiveChatListSettings, "getArchiveChatListSettings", ArchiveChatListSettings);

/// Replaces the settings that [`GetArchiveChatListSettings`] returns.
#[derive(Clone, Debug, Serialize)]
pub struct SetArchiveChatListSettings {
    /// The complete settings.
    pub settings: ArchiveChatListSettings,
}
method!(SetArchiveChatListSettings, "setArchiveChatListSettings", OkAnswer);

/// Whether others see when this account has read their messages.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetReadDatePrivacySettings;
method!(GetReadDatePrivacySettings, "getReadDatePrivacySettings", ReadDatePrivacySettings);

/// Replaces the settings that [`GetReadDatePrivacySettings`] returns.
#[derive(Clone, Debug, Serialize)]
pub struct SetReadDatePrivacySettings {
    /// The complete settings.
    pub settings: ReadDatePrivacySettings,
}
method!(SetReadDatePrivacySettings, "setReadDatePrivacySettings", OkAnswer);

/// Whether strangers may start a chat, and at what price.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetNewChatPrivacySettings;
method!(GetNewChatPrivacySettings, "getNewChatPrivacySettings", NewChatPrivacySettings);

/// Replaces the settings that [`GetNewChatPrivacySettings`] returns.
#[derive(Clone, Debug, Serialize)]
pub struct SetNewChatPrivacySettings {
    /// The complete settings; a price while strangers may not write is an error.
    pub settings: NewChatPrivacySettings,
}
method!(SetNewChatPrivacySettings, "setNewChatPrivacySettings", OkAnswer);
