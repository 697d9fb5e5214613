//! Privacy keys and rules as objects of the schema.

use grammers_tl_types::{enums, types};

use super::describe::WorldView;
use super::{CallContext, RpcError, peers};
use crate::model::{Account, Chat, ChatId, Peer, PrivacyKey, PrivacyRule, UserId};

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

pub(super) fn find(wanted: &enums::InputPrivacyKey) -> Result<PrivacyKey, RpcError> {
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
pub(super) fn understand(
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

pub(super) fn users_of(rule: &PrivacyRule) -> &[UserId] {
    match rule {
        PrivacyRule::AllowUsers(users) | PrivacyRule::RestrictUsers(users) => users,
        _ => &[],
    }
}

pub(super) fn chats_of(rule: &PrivacyRule) -> &[ChatId] {
    match rule {
        PrivacyRule::AllowChats(chats) | PrivacyRule::RestrictChats(chats) => chats,
        _ => &[],
    }
}

pub(super) fn describe(
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
