//! The methods of Telegram's API that the sandbox implements: one file per area, one table per
//! file.
//!
//! A method is an `impl MethodHandler for functions::<area>::<Method>` and a row in its area's `METHODS`.

mod blocks;
mod bots;
mod chats;
mod contacts;
mod defaults;
mod describe;
mod dialogs;
mod help;
mod login;
mod messages;
mod method;
mod notify;
mod online;
mod password;
mod peers;
mod privacy;
mod privacy_rules;
mod qr;
mod sessions;
mod settings;
mod startup;
mod updates;
mod users;
mod websites;

use grammers_tl_types::name_for_id;

pub(crate) use login::code_of_new;
pub(crate) use messages::message_pushes;
pub(crate) use method::{
    CallContext, Caller, ClientInfo, MethodEntry, MethodHandler, RpcError, UpdatePush,
};
pub(crate) use qr::scanned;
pub(crate) use sessions::log_out;

const AREAS: &[&[MethodEntry]] = &[
    blocks::METHODS,
    bots::METHODS,
    chats::METHODS,
    contacts::METHODS,
    dialogs::METHODS,
    help::METHODS,
    login::METHODS,
    messages::METHODS,
    online::METHODS,
    password::METHODS,
    privacy::METHODS,
    qr::METHODS,
    sessions::METHODS,
    settings::METHODS,
    startup::METHODS,
    updates::METHODS,
    users::METHODS,
    websites::METHODS,
];

/// The method with this constructor id.
pub(crate) fn find(id: u32) -> Option<&'static MethodEntry> {
    AREAS.iter().copied().flatten().find(|entry| entry.id() == id)
}

/// The name of a method, such as `auth.sendCode`.
pub(crate) fn name(id: u32) -> &'static str {
    name_for_id(id)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::net::Ipv4Addr;

    use grammers_tl_types::{enums, functions, types};

    use super::*;
    use crate::keys::KeyId;
    use crate::model::{
        Chat, DeviceInfo, Peer, PrivacyKey, PrivacyRule, UserId, World, default_user, default_world,
    };

    const KEY: KeyId = KeyId(1);

    /// Two accounts; [`KEY`] is logged in to the first.
    fn world() -> World {
        let mut world = default_world(2, 0);
        world.log_in(KEY, default_user(1), DeviceInfo::default(), 0);
        world
    }

    /// The error that a call of the first account gets.
    fn refusal<M: MethodHandler>(world: &mut World, call: M) -> Option<Cow<'static, str>> {
        let client = ClientInfo::default();
        let caller = Caller { key: KEY, dc: 1, address: Ipv4Addr::LOCALHOST.into(), client };
        let mut ctx = CallContext { world, caller: &caller, now: 0, pushes: Vec::new() };
        call.handle(&mut ctx).err().map(|error| error.message)
    }

    fn input_user(world: &World, user: UserId) -> types::InputUser {
        let access_hash = world.user(user).unwrap().access_hash();
        types::InputUser { user_id: user.0, access_hash }
    }

    fn set_about(rules: Vec<enums::InputPrivacyRule>) -> functions::account::SetPrivacy {
        functions::account::SetPrivacy { key: enums::InputPrivacyKey::About, rules }
    }

    #[test]
    fn no_method_is_in_two_tables() {
        let mut ids: Vec<u32> = AREAS.iter().copied().flatten().map(MethodEntry::id).collect();
        ids.sort_unstable();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_user_with_a_wrong_access_hash_is_not_found() {
        let mut world = world();
        let right = input_user(&world, default_user(2));
        let wrong = types::InputUser { access_hash: 5, ..right.clone() };
        let full = |user| functions::users::GetFullUser { id: enums::InputUser::User(user) };
        assert_eq!(refusal(&mut world, full(right)), None);
        assert_eq!(refusal(&mut world, full(wrong)).unwrap(), "USER_ID_INVALID");
    }

    #[test]
    fn neither_unknown_groups_nor_oneself_can_be_blocked() {
        let mut world = world();
        let block = |id| functions::contacts::Block { my_stories_from: false, id };
        let oneself = block(enums::InputPeer::PeerSelf);
        assert_eq!(refusal(&mut world, oneself).unwrap(), "CONTACT_ID_INVALID");
        let theirs: Vec<Peer> = world.chats_of(default_user(2)).map(Chat::peer).collect();
        let refusals = theirs.into_iter().map(|peer| {
            let peer = match peer {
                Peer::Channel(chat) => enums::InputPeer::Channel(types::InputPeerChannel {
                    channel_id: chat.0,
                    access_hash: world.chat(chat).unwrap().access_hash(),
                }),
                _ => {
                    enums::InputPeer::Chat(types::InputPeerChat { chat_id: peer.chat().unwrap().0 })
                }
            };
            refusal(&mut world, block(peer)).unwrap()
        });
        assert_eq!(refusals.collect::<Vec<_>>(), ["PEER_ID_INVALID", "CHANNEL_PRIVATE"]);
    }

    #[test]
    fn rules_are_checked_as_telegram_does() {
        let mut world = world();
        let group = world.chats_of(default_user(1)).next().unwrap().id.0;
        let many = types::InputPrivacyValueAllowChatParticipants { chats: vec![group; 21] };
        let many = enums::InputPrivacyRule::InputPrivacyValueAllowChatParticipants(many);
        assert_eq!(refusal(&mut world, set_about(vec![many])).unwrap(), "PRIVACY_TOO_LONG");
        let close = enums::InputPrivacyRule::InputPrivacyValueAllowCloseFriends;
        assert_eq!(refusal(&mut world, set_about(vec![close])).unwrap(), "PRIVACY_VALUE_INVALID");
    }

    #[test]
    fn unknown_users_are_left_out_of_rules() {
        let mut world = world();
        let known = enums::InputUser::User(input_user(&world, default_user(2)));
        let unknown = types::InputUser { user_id: 4, access_hash: 4 };
        let users = vec![known, enums::InputUser::User(unknown.clone())];
        let allow = types::InputPrivacyValueAllowUsers { users };
        let restrict =
            types::InputPrivacyValueDisallowUsers { users: vec![enums::InputUser::User(unknown)] };
        let rules = vec![
            enums::InputPrivacyRule::InputPrivacyValueDisallowUsers(restrict),
            enums::InputPrivacyRule::InputPrivacyValueAllowUsers(allow),
        ];
        assert_eq!(refusal(&mut world, set_about(rules)), None);
        let kept = world.account(default_user(1)).unwrap().privacy.rules(PrivacyKey::About);
        let allowed = PrivacyRule::AllowUsers(vec![default_user(2)]);
        assert_eq!(kept, [allowed, PrivacyRule::RestrictAll]);
    }
}
