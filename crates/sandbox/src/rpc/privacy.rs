//! Privacy: rules per key, and the global settings.

use grammers_tl_types::{enums, functions, types};

use super::{CallContext, MethodEntry, MethodHandler, RpcError, WorldView, notify, peers};
use crate::model::{
    Account, AccountChange, Chat, ChatId, GlobalPrivacy, Peer, PrivacyKey, PrivacyRule, UserId,
};

pub(super) const METHODS: &[MethodEntry] = &[
    MethodEntry::of::<functions::account::GetGlobalPrivacySettings>(),
    MethodEntry::of::<functions::account::GetPrivacy>(),
    MethodEntry::of::<functions::account::SetGlobalPrivacySettings>(),
    MethodEntry::of::<functions::account::SetPrivacy>(),
];

/// Maximum number of users in the rules of one key.
const MAX_USERS: usize = 1000;
/// Maximum number of groups in the rules of one key.
const MAX_CHATS: usize = 20;
/// Maximum price of a message in Telegram Stars.
pub(super) const MAX_MESSAGE_PRICE: i64 = 10_000;

/// Each key in the types of calls, of the model and of answers.
const KEYS: [(enums::InputPrivacyKey, PrivacyKey, enums::PrivacyKey); 14] = {
    use enums::{InputPrivacyKey as Input, PrivacyKey as Output};
    [
        (Input::StatusTimestamp, PrivacyKey::StatusTimestamp, Output::StatusTimestamp),
        (Input::ChatInvite, PrivacyKey::ChatInvite, Output::ChatInvite),
        (Input::PhoneCall, PrivacyKey::PhoneCall, Output::PhoneCall),
        (Input::PhoneP2P, PrivacyKey::PhoneP2P, Output::PhoneP2P),
        (Input::Forwards, PrivacyKey::Forwards, Output::Forwards),
        (Input::ProfilePhoto, PrivacyKey::ProfilePhoto, Output::ProfilePhoto),
        (Input::PhoneNumber, PrivacyKey::PhoneNumber, Output::PhoneNumber),
        (Input::AddedByPhone, PrivacyKey::AddedByPhone, Output::AddedByPhone),
        (Input::VoiceMessages, PrivacyKey::VoiceMessages, Output::VoiceMessages),
        (Input::About, PrivacyKey::About, Output::About),
        (Input::Birthday, PrivacyKey::Birthday, Output::Birthday),
        (Input::StarGiftsAutoSave, PrivacyKey::StarGiftsAutoSave, Output::StarGiftsAutoSave),
        (Input::NoPaidMessages, PrivacyKey::NoPaidMessages, Output::NoPaidMessages),
        (Input::SavedMusic, PrivacyKey::SavedMusic, Output::SavedMusic),
    ]
};

impl MethodHandler for functions::account::GetPrivacy {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let key = find(&self.key)?;
        let rules = ctx.account()?.privacy.rules(key);
        describe(ctx, &rules)
    }
}

impl MethodHandler for functions::account::SetPrivacy {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let key = find(&self.key)?;
        let mut rules = Vec::new();
        for rule in &self.rules {
            rules.extend(understand(ctx, rule)?);
        }
        let users: usize = rules.iter().map(|rule| users_of(rule).len()).sum();
        let chats: usize = rules.iter().map(|rule| chats_of(rule).len()).sum();
        if MAX_USERS < users || MAX_CHATS < chats {
            return Err(RpcError::bad_request("PRIVACY_TOO_LONG"));
        }
        let privacy = &mut ctx.account()?.privacy;
        privacy.set(key, rules);
        let rules = privacy.rules(key);
        notify::record_change(ctx, AccountChange::Privacy(key))?;
        describe(ctx, &rules)
    }
}

impl MethodHandler for functions::account::GetGlobalPrivacySettings {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        Ok(global(ctx.account()?.global_privacy))
    }
}

impl MethodHandler for functions::account::SetGlobalPrivacySettings {
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError> {
        let enums::GlobalPrivacySettings::Settings(wanted) = self.settings;
        let price = wanted.noncontact_peers_paid_stars.unwrap_or(0);
        if !(0..=MAX_MESSAGE_PRICE).contains(&price) {
            return Err(RpcError::bad_request("STARS_AMOUNT_INVALID"));
        }
        let account = ctx.account()?;
        let restricts = wanted.new_noncontact_peers_require_premium || 0 < price;
        if restricts && !account.may_restrict_new_chats {
            return Err(RpcError {
                code: 403,
                ..RpcError::bad_request("PREMIUM_ACCOUNT_REQUIRED")
            });
        }
        account.global_privacy = GlobalPrivacy {
            archive_and_mute_new: wanted.archive_and_mute_new_noncontact_peers,
            keep_archived_unmuted: wanted.keep_archived_unmuted,
            keep_archived_folders: wanted.keep_archived_folders,
            hide_read_marks: wanted.hide_read_marks,
            new_chats_require_premium: wanted.new_noncontact_peers_require_premium,
            message_price: price,
            show_gift_button: wanted.display_gifts_button,
        };
        Ok(global(account.global_privacy))
    }
}

fn find(wanted: &enums::InputPrivacyKey) -> Result<PrivacyKey, RpcError> {
    let found = KEYS.into_iter().find(|(input, ..)| input == wanted);
    found.map(|(_, key, _)| key).ok_or(RpcError::bad_request("PRIVACY_KEY_INVALID"))
}

/// The update about a key's rules, with the users and groups that they refer to.
pub(super) fn update(
    view: &WorldView<'_>,
    account: &Account,
    key: PrivacyKey,
) -> (enums::Update, Vec<Peer>) {
    let rules = account.privacy.rules(key);
    let users = rules.iter().flat_map(users_of).copied().map(Peer::User);
    let chats = rules.iter().flat_map(chats_of).filter_map(|id| view.world.chat(*id));
    let named = users.chain(chats.map(Chat::peer)).collect();
    let name = KEYS.into_iter().find(|(_, known, _)| *known == key).map(|(.., name)| name);
    let key = name.unwrap_or(enums::PrivacyKey::StatusTimestamp);
    let update = types::UpdatePrivacy { key, rules: output(&rules) };
    (enums::Update::Privacy(update), named)
}

/// Converts a rule to the model. As on Telegram, users and groups unknown to the caller are
/// dropped, and so is a rule without any left.
fn understand(
    ctx: &mut CallContext<'_>,
    rule: &enums::InputPrivacyRule,
) -> Result<Option<PrivacyRule>, RpcError> {
    use enums::InputPrivacyRule as Input;
    Ok(match rule {
        Input::InputPrivacyValueAllowAll => Some(PrivacyRule::AllowAll),
        Input::InputPrivacyValueAllowContacts => Some(PrivacyRule::AllowContacts),
        Input::InputPrivacyValueAllowPremium => Some(PrivacyRule::AllowPremium),
        Input::InputPrivacyValueAllowBots => Some(PrivacyRule::AllowBots),
        Input::InputPrivacyValueDisallowAll => Some(PrivacyRule::RestrictAll),
        Input::InputPrivacyValueDisallowContacts => Some(PrivacyRule::RestrictContacts),
        Input::InputPrivacyValueDisallowBots => Some(PrivacyRule::RestrictBots),
        Input::InputPrivacyValueAllowCloseFriends => {
            return Err(RpcError::bad_request("PRIVACY_VALUE_INVALID"));
        }
        Input::InputPrivacyValueAllowUsers(rule) => Some(known_users(ctx, &rule.users))
            .filter(|users| !users.is_empty())
            .map(PrivacyRule::AllowUsers),
        Input::InputPrivacyValueDisallowUsers(rule) => Some(known_users(ctx, &rule.users))
            .filter(|users| !users.is_empty())
            .map(PrivacyRule::RestrictUsers),
        Input::InputPrivacyValueAllowChatParticipants(rule) => Some(known_chats(ctx, &rule.chats)?)
            .filter(|chats| !chats.is_empty())
            .map(PrivacyRule::AllowChats),
        Input::InputPrivacyValueDisallowChatParticipants(rule) => {
            Some(known_chats(ctx, &rule.chats)?)
                .filter(|chats| !chats.is_empty())
                .map(PrivacyRule::RestrictChats)
        }
    })
}

fn known_users(ctx: &mut CallContext<'_>, users: &[enums::InputUser]) -> Vec<UserId> {
    users.iter().filter_map(|user| peers::user(ctx, user).ok()).collect()
}

fn known_chats(ctx: &mut CallContext<'_>, chats: &[i64]) -> Result<Vec<ChatId>, RpcError> {
    let me = ctx.me()?;
    let known = |id: &ChatId| ctx.world.chat(*id).is_some_and(|chat| chat.has(me));
    Ok(chats.iter().map(|id| ChatId(*id)).filter(known).collect())
}

fn users_of(rule: &PrivacyRule) -> &[UserId] {
    match rule {
        PrivacyRule::AllowUsers(users) | PrivacyRule::RestrictUsers(users) => users,
        _ => &[],
    }
}

fn chats_of(rule: &PrivacyRule) -> &[ChatId] {
    match rule {
        PrivacyRule::AllowChats(chats) | PrivacyRule::RestrictChats(chats) => chats,
        _ => &[],
    }
}

fn describe(
    ctx: &mut CallContext<'_>,
    rules: &[PrivacyRule],
) -> Result<enums::account::PrivacyRules, RpcError> {
    let view = ctx.view()?;
    Ok(enums::account::PrivacyRules::Rules(types::account::PrivacyRules {
        rules: output(rules),
        chats: view.chats(rules.iter().flat_map(chats_of).copied()),
        users: view.users(rules.iter().flat_map(users_of).copied()),
    }))
}

fn output(rules: &[PrivacyRule]) -> Vec<enums::PrivacyRule> {
    use enums::PrivacyRule as Output;
    let users = |users: &[UserId]| users.iter().map(|user| user.0).collect();
    let chats = |chats: &[ChatId]| chats.iter().map(|chat| chat.0).collect();
    let describe =
        |rule: &PrivacyRule| match rule {
            PrivacyRule::AllowAll => Output::PrivacyValueAllowAll,
            PrivacyRule::AllowContacts => Output::PrivacyValueAllowContacts,
            PrivacyRule::AllowCloseFriends => Output::PrivacyValueAllowCloseFriends,
            PrivacyRule::AllowPremium => Output::PrivacyValueAllowPremium,
            PrivacyRule::AllowBots => Output::PrivacyValueAllowBots,
            PrivacyRule::RestrictAll => Output::PrivacyValueDisallowAll,
            PrivacyRule::RestrictContacts => Output::PrivacyValueDisallowContacts,
            PrivacyRule::RestrictBots => Output::PrivacyValueDisallowBots,
            PrivacyRule::AllowUsers(ids) => {
                Output::PrivacyValueAllowUsers(types::PrivacyValueAllowUsers { users: users(ids) })
            }
            PrivacyRule::RestrictUsers(ids) => {
                Output::PrivacyValueDisallowUsers(types::PrivacyValueDisallowUsers {
                    users: users(ids),
                })
            }
            PrivacyRule::AllowChats(ids) => Output::PrivacyValueAllowChatParticipants(
                types::PrivacyValueAllowChatParticipants { chats: chats(ids) },
            ),
            PrivacyRule::RestrictChats(ids) => Output::PrivacyValueDisallowChatParticipants(
                types::PrivacyValueDisallowChatParticipants { chats: chats(ids) },
            ),
        };
    rules.iter().map(describe).collect()
}

fn global(settings: GlobalPrivacy) -> enums::GlobalPrivacySettings {
    let price = settings.message_price;
    enums::GlobalPrivacySettings::Settings(types::GlobalPrivacySettings {
        archive_and_mute_new_noncontact_peers: settings.archive_and_mute_new,
        keep_archived_unmuted: settings.keep_archived_unmuted,
        keep_archived_folders: settings.keep_archived_folders,
        hide_read_marks: settings.hide_read_marks,
        new_noncontact_peers_require_premium: settings.new_chats_require_premium,
        display_gifts_button: settings.show_gift_button,
        noncontact_peers_paid_stars: (0 < price).then_some(price),
        disallowed_gifts: None,
    })
}
