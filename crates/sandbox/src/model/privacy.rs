use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ChatId, UserId};

/// What a privacy setting is about, by Telegram's names (`inputPrivacyKey…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyKey {
    /// Who sees when the account was last online.
    StatusTimestamp,
    /// Who may add it to groups.
    ChatInvite,
    /// Who may call it.
    PhoneCall,
    /// With whom its calls go from device to device.
    #[serde(rename = "phone_p2p")]
    PhoneP2P,
    /// Who is led to it from forwarded messages.
    Forwards,
    /// Who sees its photos.
    ProfilePhoto,
    /// Who sees its phone number.
    PhoneNumber,
    /// Who finds it by its phone number.
    AddedByPhone,
    /// Who may send it voice and video messages.
    VoiceMessages,
    /// Who sees its description.
    About,
    /// Who sees its birthday.
    Birthday,
    /// Whose gifts show up in its profile.
    StarGiftsAutoSave,
    /// Who may write to it without paying.
    NoPaidMessages,
    /// Who sees the music in its profile.
    SavedMusic,
}

/// One rule; the first that fits a user decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivacyRule {
    /// Everybody.
    AllowAll,
    /// Contacts.
    AllowContacts,
    /// Close friends; for stories alone.
    AllowCloseFriends,
    /// Premium users.
    AllowPremium,
    /// Mini apps.
    AllowBots,
    /// These users.
    AllowUsers(Vec<UserId>),
    /// Members of these groups.
    AllowChats(Vec<ChatId>),
    /// Nobody.
    RestrictAll,
    /// No contacts.
    RestrictContacts,
    /// No mini apps.
    RestrictBots,
    /// Not these users.
    RestrictUsers(Vec<UserId>),
    /// No members of these groups.
    RestrictChats(Vec<ChatId>),
}

/// The rules an account has set.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrivacyRules(BTreeMap<PrivacyKey, Vec<PrivacyRule>>);

impl PrivacyRules {
    /// The rules of `key`; the last one fits everybody.
    pub(crate) fn rules(&self, key: PrivacyKey) -> Vec<PrivacyRule> {
        self.0.get(&key).cloned().unwrap_or_else(|| vec![usual(key)])
    }

    /// Sets the rules of `key`; whom none of them fits is restricted, so that is said at the end.
    pub(crate) fn set(&mut self, key: PrivacyKey, mut rules: Vec<PrivacyRule>) {
        let closed = matches!(rules.last(), Some(PrivacyRule::AllowAll | PrivacyRule::RestrictAll));
        if !closed {
            rules.push(PrivacyRule::RestrictAll);
        }
        self.0.insert(key, rules);
    }
}

/// What a new account has.
fn usual(key: PrivacyKey) -> PrivacyRule {
    match key {
        PrivacyKey::PhoneNumber | PrivacyKey::Birthday => PrivacyRule::AllowContacts,
        _ => PrivacyRule::AllowAll,
    }
}

/// Settings that are one object on Telegram (`globalPrivacySettings`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "Telegram has as many flags")]
pub struct GlobalPrivacy {
    /// New chats from strangers go to the archive, muted.
    pub archive_and_mute_new: bool,
    /// Chats that are not muted stay in the archive.
    pub keep_archived_unmuted: bool,
    /// Chats in folders stay in the archive.
    pub keep_archived_folders: bool,
    /// Others do not see when their messages were read.
    pub hide_read_marks: bool,
    /// Strangers need a Premium subscription to write.
    pub new_chats_require_premium: bool,
    /// Strangers pay this many Telegram Stars a message; 0 when they do not.
    pub message_price: i64,
    /// The gift button is shown to the other side.
    pub show_gift_button: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_no_rule_fits_is_restricted() {
        let mut privacy = PrivacyRules::default();
        assert_eq!(privacy.rules(PrivacyKey::About), [PrivacyRule::AllowAll]);
        privacy.set(PrivacyKey::About, Vec::new());
        assert_eq!(privacy.rules(PrivacyKey::About), [PrivacyRule::RestrictAll]);
        privacy.set(PrivacyKey::About, vec![PrivacyRule::AllowContacts]);
        let rules = privacy.rules(PrivacyKey::About);
        assert_eq!(rules, [PrivacyRule::AllowContacts, PrivacyRule::RestrictAll]);
    }
}
