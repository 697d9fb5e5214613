use serde::Serialize;

use super::{Done, method};
use crate::enums::UserPrivacySetting;
use crate::types::{
    ArchiveChatListSettings, NewChatPrivacySettings, ReadDatePrivacySettings,
    UserPrivacySettingRules,
};

/// The rules of one privacy setting.
#[derive(Clone, Debug, Serialize)]
pub struct GetUserPrivacySettingRules {
    /// The setting.
    pub setting: UserPrivacySetting,
}
method!(GetUserPrivacySettingRules, "getUserPrivacySettingRules", UserPrivacySettingRules);

/// Replaces the rules of one privacy setting.
///
/// TDLib drops users and chats it does not know, in silence.
#[derive(Clone, Debug, Serialize)]
pub struct SetUserPrivacySettingRules {
    /// The setting.
    pub setting: UserPrivacySetting,
    /// The rules, in order; the first that matches decides.
    pub rules: UserPrivacySettingRules,
}
method!(SetUserPrivacySettingRules, "setUserPrivacySettingRules", Done);

/// What becomes of new chats and of the archive.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetArchiveChatListSettings;
method!(GetArchiveChatListSettings, "getArchiveChatListSettings", ArchiveChatListSettings);

/// Replaces what [`GetArchiveChatListSettings`] reads.
#[derive(Clone, Debug, Serialize)]
pub struct SetArchiveChatListSettings {
    /// All of it.
    pub settings: ArchiveChatListSettings,
}
method!(SetArchiveChatListSettings, "setArchiveChatListSettings", Done);

/// Whether others see when this account has read their messages.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetReadDatePrivacySettings;
method!(GetReadDatePrivacySettings, "getReadDatePrivacySettings", ReadDatePrivacySettings);

/// Replaces what [`GetReadDatePrivacySettings`] reads.
#[derive(Clone, Debug, Serialize)]
pub struct SetReadDatePrivacySettings {
    /// All of it.
    pub settings: ReadDatePrivacySettings,
}
method!(SetReadDatePrivacySettings, "setReadDatePrivacySettings", Done);

/// Whether strangers may write first, and at what price.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetNewChatPrivacySettings;
method!(GetNewChatPrivacySettings, "getNewChatPrivacySettings", NewChatPrivacySettings);

/// Replaces what [`GetNewChatPrivacySettings`] reads.
#[derive(Clone, Debug, Serialize)]
pub struct SetNewChatPrivacySettings {
    /// All of it; a price without leave to write is an error.
    pub settings: NewChatPrivacySettings,
}
method!(SetNewChatPrivacySettings, "setNewChatPrivacySettings", Done);
