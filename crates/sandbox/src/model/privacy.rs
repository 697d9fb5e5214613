use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ChatId, UserId};

/// The subject of a privacy setting, by Telegram's names (`inputPrivacyKey…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyKey {
    /// Who sees when the account was last online.
    StatusTimestamp,
    /// Who may add it to groups.
    ChatInvite,
    /// Who may call it.
    PhoneCall,
    /// With whom its calls are peer-to-peer.
    #[serde(rename = "phone_p2p")]
    PhoneP2P,
    /// Whose forwarded messages link to it.
    Forwards,
    /// Who sees its photos.
    ProfilePhoto,
    /// Who sees its phone number.
    PhoneNumber,
    /// Who can find it by its phone number.
    AddedByPhone,
    /// Who may send it voice and video messages.
    VoiceMessages,
    /// Who sees its description.
    About,
    /// Who sees its birthday.
    Birthday,
    /// Whose gifts appear in its profile automatically.
    StarGiftsAutoSave,
    /// Who may write to it without paying.
    NoPaidMessages,
    /// Who sees the music in its profile.
    SavedMusic,
}

/// One rule; the first that matches a user decides. A seed file names users and groups instead of
/// using their ids.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyRule<User = UserId, Group = ChatId> {
    /// Everybody.
    AllowAll,
    /// Contacts.
    AllowContacts,
    /// Close friends; for stories only.
    #[serde(skip)]
    AllowCloseFriends,
    /// Premium users.
    AllowPremium,
    /// Mini apps.
    AllowBots,
    /// These users.
    AllowUsers(Vec<User>),
    /// Members of these groups.
    #[serde(rename = "allow_groups")]
    AllowChats(Vec<Group>),
    /// Nobody.
    RestrictAll,
    /// No contacts.
    RestrictContacts,
    /// No mini apps.
    RestrictBots,
    /// Not these users.
    RestrictUsers(Vec<User>),
    /// No members of these groups.
    #[serde(rename = "restrict_groups")]
    RestrictChats(Vec<Group>),
}

impl<User, Group> PrivacyRule<User, Group> {
    /// The same rule with other names for users and groups.
    pub(crate) fn try_map<OtherUser, OtherGroup, Error>(
        &self,
        users: impl Fn(&[User]) -> Result<Vec<OtherUser>, Error>,
        groups: impl Fn(&[Group]) -> Result<Vec<OtherGroup>, Error>,
    ) -> Result<PrivacyRule<OtherUser, OtherGroup>, Error> {
        Ok(match self {
            Self::AllowAll => PrivacyRule::AllowAll,
            Self::AllowContacts => PrivacyRule::AllowContacts,
            Self::AllowCloseFriends => PrivacyRule::AllowCloseFriends,
            Self::AllowPremium => PrivacyRule::AllowPremium,
            Self::AllowBots => PrivacyRule::AllowBots,
            Self::AllowUsers(ids) => PrivacyRule::AllowUsers(users(ids)?),
            Self::AllowChats(ids) => PrivacyRule::AllowChats(groups(ids)?),
            Self::RestrictAll => PrivacyRule::RestrictAll,
            Self::RestrictContacts => PrivacyRule::RestrictContacts,
            Self::RestrictBots => PrivacyRule::RestrictBots,
            Self::RestrictUsers(ids) => PrivacyRule::RestrictUsers(users(ids)?),
            Self::RestrictChats(ids) => PrivacyRule::RestrictChats(groups(ids)?),
        })
    }
}

/// The rules that an account has set.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrivacyRules(BTreeMap<PrivacyKey, Vec<PrivacyRule>>);

impl PrivacyRules {
    /// The rules of `key`; the last one matches everybody.
    pub(crate) fn rules(&self, key: PrivacyKey) -> Vec<PrivacyRule> {
        self.0.get(&key).cloned().unwrap_or_else(|| vec![usual(key)])
    }

    /// Sets the rules of `key`. Users that none of them matches are restricted, so that rule is
    /// appended.
    pub(crate) fn set(&mut self, key: PrivacyKey, mut rules: Vec<PrivacyRule>) {
        let closed = matches!(rules.last(), Some(PrivacyRule::AllowAll | PrivacyRule::RestrictAll));
        if !closed {
            rules.push(PrivacyRule::RestrictAll);
        }
        self.0.insert(key, rules);
    }
}

/// The rule of a new account.
fn usual(key: PrivacyKey) -> PrivacyRule {
    match key {
        PrivacyKey::PhoneNumber | PrivacyKey::Birthday => PrivacyRule::AllowContacts,
        _ => PrivacyRule::AllowAll,
    }
}

/// Telegram's `globalPrivacySettings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "Telegram has as many flags")]
pub struct GlobalPrivacy {
    /// Whether new chats from strangers are archived and muted.
    pub archive_and_mute_new: bool,
    /// Whether unmuted chats stay in the archive.
    pub keep_archived_unmuted: bool,
    /// Whether chats in folders stay in the archive.
    pub keep_archived_folders: bool,
    /// Whether others cannot see when their messages were read.
    pub hide_read_marks: bool,
    /// Whether strangers need a Premium subscription to write.
    pub new_chats_require_premium: bool,
    /// Telegram Stars that strangers pay per message; 0 for none.
    pub message_price: i64,
    /// Whether the gift button is shown to the other side.
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
