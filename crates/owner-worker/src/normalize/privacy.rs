//! Privacy settings: their names, their rules, and what the rules come to.

mod summary;

use schemars::JsonSchema;
use serde::Serialize;
use tdlib::answers::{PrivacyRules, TdVariant};
use tdlib::enums::{UserPrivacySetting as Td, UserPrivacySettingRule};
use tdlib::types::NewChatPrivacySettings;

pub(crate) use summary::{PrivacyMode, RuleConflict, RulesSummary};

/// One privacy setting, with all its names.
struct SettingRow {
    key: &'static str,
    tdlib: &'static str,
    /// Without `privacyKey` and `inputPrivacyKey`.
    telegram: Option<&'static str>,
    /// `None` for new chats, which are no user privacy setting of TDLib's.
    user: Option<Td>,
}

const fn row(
    key: &'static str,
    tdlib: &'static str,
    telegram: &'static str,
    user: Td,
) -> SettingRow {
    SettingRow { key, tdlib, telegram: Some(telegram), user: Some(user) }
}

/// In the order of the reference.
const TABLE: [SettingRow; 15] = [
    row("show_status", "userPrivacySettingShowStatus", "StatusTimestamp", Td::ShowStatus),
    row(
        "show_profile_photo",
        "userPrivacySettingShowProfilePhoto",
        "ProfilePhoto",
        Td::ShowProfilePhoto,
    ),
    row(
        "show_link_in_forwarded_messages",
        "userPrivacySettingShowLinkInForwardedMessages",
        "Forwards",
        Td::ShowLinkInForwardedMessages,
    ),
    row(
        "show_phone_number",
        "userPrivacySettingShowPhoneNumber",
        "PhoneNumber",
        Td::ShowPhoneNumber,
    ),
    row("show_bio", "userPrivacySettingShowBio", "About", Td::ShowBio),
    row("show_birthdate", "userPrivacySettingShowBirthdate", "Birthday", Td::ShowBirthdate),
    row(
        "show_profile_audio",
        "userPrivacySettingShowProfileAudio",
        "SavedMusic",
        Td::ShowProfileAudio,
    ),
    row(
        "allow_chat_invites",
        "userPrivacySettingAllowChatInvites",
        "ChatInvite",
        Td::AllowChatInvites,
    ),
    row("allow_calls", "userPrivacySettingAllowCalls", "PhoneCall", Td::AllowCalls),
    row(
        "allow_peer_to_peer_calls",
        "userPrivacySettingAllowPeerToPeerCalls",
        "PhoneP2P",
        Td::AllowPeerToPeerCalls,
    ),
    row(
        "allow_finding_by_phone_number",
        "userPrivacySettingAllowFindingByPhoneNumber",
        "AddedByPhone",
        Td::AllowFindingByPhoneNumber,
    ),
    row(
        "allow_private_voice_and_video_note_messages",
        "userPrivacySettingAllowPrivateVoiceAndVideoNoteMessages",
        "VoiceMessages",
        Td::AllowPrivateVoiceAndVideoNoteMessages,
    ),
    row(
        "autosave_gifts",
        "userPrivacySettingAutosaveGifts",
        "StarGiftsAutoSave",
        Td::AutosaveGifts,
    ),
    row(
        "allow_unpaid_messages",
        "userPrivacySettingAllowUnpaidMessages",
        "NoPaidMessages",
        Td::AllowUnpaidMessages,
    ),
    SettingRow { key: "new_chats", tdlib: "newChatPrivacySettings", telegram: None, user: None },
];

/// One privacy setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PrivacySetting(usize);

impl PrivacySetting {
    /// Every setting, in the order of the reference.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len()).map(Self)
    }

    /// The setting of that name: TDLib's, the short key, or the Telegram API's with either prefix.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let telegram =
            name.strip_prefix("inputPrivacyKey").or_else(|| name.strip_prefix("privacyKey"));
        Self::all().find(|setting| {
            let row = setting.row();
            row.tdlib == name || row.key == name || (telegram.is_some() && row.telegram == telegram)
        })
    }

    /// The setting with rules that has this name in TDLib.
    pub(crate) fn of_tdlib(name: &str) -> Option<Self> {
        let has_rules = |setting: &Self| setting.row().user.is_some();
        Self::all().filter(has_rules).find(|setting| setting.tdlib() == name)
    }

    /// TDLib's name.
    pub(crate) fn tdlib(self) -> &'static str {
        self.row().tdlib
    }

    /// TDLib's setting; `None` for new chats.
    pub(crate) fn user(self) -> Option<Td> {
        self.row().user.clone()
    }

    /// All its names, for the documents.
    pub(crate) fn names(self) -> impl Iterator<Item = String> {
        let row = self.row();
        let telegram = ["privacyKey", "inputPrivacyKey"];
        let telegram =
            telegram.into_iter().filter_map(|prefix| Some(format!("{prefix}{}", row.telegram?)));
        [row.tdlib.to_owned(), row.key.to_owned()].into_iter().chain(telegram)
    }

    fn row(self) -> &'static SettingRow {
        &TABLE[self.0]
    }
}

/// A privacy setting with its value.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Privacy")]
pub(crate) enum PrivacyValue {
    /// A setting with rules.
    Rules(RulesPrivacy),
    /// Who may start a chat.
    NewChats(NewChatsPrivacy),
}

/// A privacy setting with rules.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct RulesPrivacy {
    /// TDLib's name.
    setting: &'static str,
    /// `user_privacy`.
    setting_type: &'static str,
    /// The short key.
    setting_key: &'static str,
    /// TDLib's rule objects in order: the first that matches decides, and without a match it is not
    /// allowed. TDLib leaves out a final `RestrictAll`.
    #[schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>")]
    rules: Vec<TdVariant<UserPrivacySettingRule>>,
    /// A summary of the rules.
    summary: RulesSummary,
}

/// Who may start a chat with the account.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct NewChatsPrivacy {
    /// `newChatPrivacySettings`.
    setting: &'static str,
    /// `new_chat`.
    setting_type: &'static str,
    /// `new_chats`.
    setting_key: &'static str,
    /// Whether users that are not contacts may write first.
    allow_new_chats_from_unknown_users: bool,
    /// Price in Telegram Stars of each of their messages; 0 for none.
    incoming_paid_message_star_count: i64,
}

impl PrivacyValue {
    pub(crate) fn rules(setting: PrivacySetting, given: PrivacyRules) -> Self {
        Self::Rules(RulesPrivacy {
            setting: setting.tdlib(),
            setting_type: "user_privacy",
            setting_key: setting.row().key,
            summary: RulesSummary::of(&given.rules),
            rules: given.rules,
        })
    }

    pub(crate) fn new_chats(setting: PrivacySetting, given: &NewChatPrivacySettings) -> Self {
        Self::NewChats(NewChatsPrivacy {
            setting: setting.tdlib(),
            setting_type: "new_chat",
            setting_key: setting.row().key,
            allow_new_chats_from_unknown_users: given.allow_new_chats_from_unknown_users,
            incoming_paid_message_star_count: given.incoming_paid_message_star_count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::type_name;

    #[test]
    fn every_name_of_a_setting_is_its_own() {
        let mut seen = std::collections::HashSet::new();
        for setting in PrivacySetting::all() {
            for name in setting.names() {
                assert_eq!(PrivacySetting::named(&name), Some(setting), "{name}");
                assert!(seen.insert(name));
            }
            if let Some(user) = setting.user() {
                assert_eq!(PrivacySetting::of_tdlib(&type_name(&user)), Some(setting));
            }
        }
        assert_eq!(seen.len(), 14 * 4 + 2);
    }

    #[test]
    fn what_is_no_setting_has_none() {
        for name in ["", "StatusTimestamp", "privacyKey", "globalPrivacySettings", "show_Status"] {
            assert_eq!(PrivacySetting::named(name), None, "{name}");
        }
    }
}
