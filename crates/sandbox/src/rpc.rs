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
mod notify;
mod online;
mod password;
mod peers;
mod privacy;
mod qr;
mod sessions;
mod settings;
mod startup;
mod updates;
mod users;
mod websites;

use std::borrow::Cow;
use std::fmt::Debug;
use std::net::IpAddr;

use grammers_tl_types::{
    Cursor, Deserializable, Identifiable, RemoteCall, Serializable, enums, name_for_id, types,
};

use crate::keys::KeyId;
use crate::model::{Account, PushTarget, UserId, World};
use describe::WorldView;

pub(crate) use login::code_of_new;
pub(crate) use messages::message_pushes;
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
    AREAS.iter().copied().flatten().find(|entry| entry.id == id)
}

/// Offset of a test data centre's number.
const TEST_DC: u16 = 10_000;

/// An error of a call, with Telegram's code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub(crate) code: i32,
    pub(crate) message: Cow<'static, str>,
}

impl RpcError {
    /// 400: the arguments are invalid.
    pub(crate) const fn bad_request(message: &'static str) -> Self {
        Self { code: 400, message: Cow::Borrowed(message) }
    }

    /// 403: not allowed for this account.
    pub(crate) const fn forbidden(message: Cow<'static, str>) -> Self {
        Self { code: 403, message }
    }

    /// 406: an error that the client must not display.
    pub(crate) const fn not_acceptable(message: &'static str) -> Self {
        Self { code: 406, message: Cow::Borrowed(message) }
    }

    /// 401: the key is not logged in.
    pub(crate) const fn unauthorized(message: &'static str) -> Self {
        Self { code: 401, message: Cow::Borrowed(message) }
    }

    /// The error as the body of an answer.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let error =
            types::RpcError { error_code: self.code, error_message: self.message.to_string() };
        enums::RpcError::Error(error).to_bytes()
    }
}

/// The client information of `initConnection`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientInfo {
    pub(crate) api_id: i32,
    pub(crate) device_model: String,
    pub(crate) system_version: String,
    pub(crate) app_version: String,
}

/// The client that calls.
pub(crate) struct Caller {
    pub(crate) key: KeyId,
    /// The data centre that the client addresses.
    pub(crate) dc: i16,
    pub(crate) address: IpAddr,
    pub(crate) client: ClientInfo,
}

impl Caller {
    /// The number of the data centre, 1 to 5, for test and media servers too.
    pub(crate) fn data_centre(&self) -> i32 {
        i32::from(self.dc.unsigned_abs() % TEST_DC)
    }

    /// Whether the client addresses a test data centre.
    pub(crate) fn is_test(&self) -> bool {
        self.dc.unsigned_abs() > TEST_DC
    }
}

/// Updates to push to clients.
pub(crate) struct UpdatePush {
    pub(crate) to: PushTarget,
    pub(crate) updates: enums::Updates,
}

/// The context of a method call.
pub(crate) struct CallContext<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) caller: &'a Caller,
    /// Unix seconds.
    pub(crate) now: i32,
    /// Sent after the answer.
    pub(crate) pushes: Vec<UpdatePush>,
}

impl CallContext<'_> {
    /// The caller's own account.
    pub(crate) fn account(&mut self) -> Result<&mut Account, RpcError> {
        let key = self.caller.key;
        self.world.account_of(key).ok_or(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"))
    }

    /// The caller's own user.
    fn me(&mut self) -> Result<UserId, RpcError> {
        Ok(self.account()?.user)
    }

    /// The world from the caller's view.
    fn view(&mut self) -> Result<WorldView<'_>, RpcError> {
        let viewer = self.me()?;
        Ok(WorldView { world: self.world, viewer })
    }
}

/// A method that the sandbox implements.
pub(crate) trait MethodHandler: RemoteCall + Deserializable + Identifiable + Debug {
    /// Whether the method requires a login.
    const NEEDS_LOGIN: bool = true;

    /// Runs the method and returns its answer.
    fn handle(self, ctx: &mut CallContext<'_>) -> Result<Self::Return, RpcError>;
}

/// One method in a table.
pub(crate) struct MethodEntry {
    id: u32,
    needs_login: bool,
    run: fn(&mut CallContext<'_>, &[u8]) -> Result<Vec<u8>, RpcError>,
    describe: fn(&[u8]) -> String,
}

impl MethodEntry {
    const fn of<M: MethodHandler>() -> Self
    where
        M::Return: Serializable,
    {
        Self {
            id: M::CONSTRUCTOR_ID,
            needs_login: M::NEEDS_LOGIN,
            run: run::<M>,
            describe: describe::<M>,
        }
    }

    /// The arguments in `body`, in Rust's debug format.
    pub(crate) fn describe(&self, body: &[u8]) -> String {
        (self.describe)(body)
    }

    pub(crate) fn needs_login(&self) -> bool {
        self.needs_login
    }

    /// Decodes the call in `body`, runs it, encodes the answer.
    pub(crate) fn run(&self, ctx: &mut CallContext<'_>, body: &[u8]) -> Result<Vec<u8>, RpcError> {
        (self.run)(ctx, body)
    }
}

fn run<M: MethodHandler>(ctx: &mut CallContext<'_>, body: &[u8]) -> Result<Vec<u8>, RpcError>
where
    M::Return: Serializable,
{
    let method: M = decode(body).ok_or(RpcError::bad_request("INPUT_REQUEST_INVALID"))?;
    Ok(method.handle(ctx)?.to_bytes())
}

fn describe<M: MethodHandler>(body: &[u8]) -> String {
    decode::<M>(body).map_or_else(String::new, |method| format!("{method:?}"))
}

fn decode<M: Deserializable>(body: &[u8]) -> Option<M> {
    M::deserialize(&mut Cursor::from_slice(body.get(4..)?)).ok()
}

/// The name of a method, such as `auth.sendCode`.
pub(crate) fn name(id: u32) -> &'static str {
    name_for_id(id)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use grammers_tl_types::{functions, types};

    use super::*;
    use crate::model::{
        Chat, DeviceInfo, Peer, PrivacyKey, PrivacyRule, default_user, default_world,
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
        let mut ids: Vec<u32> = AREAS.iter().copied().flatten().map(|entry| entry.id).collect();
        ids.sort_unstable();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn who_is_named_with_another_access_hash_is_not_found() {
        let mut world = world();
        let right = input_user(&world, default_user(2));
        let wrong = types::InputUser { access_hash: 5, ..right.clone() };
        let full = |user| functions::users::GetFullUser { id: enums::InputUser::User(user) };
        assert_eq!(refusal(&mut world, full(right)), None);
        assert_eq!(refusal(&mut world, full(wrong)).unwrap(), "USER_ID_INVALID");
    }

    #[test]
    fn neither_strangers_groups_nor_oneself_can_be_blocked() {
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
    fn users_that_cannot_be_named_are_left_out_of_rules() {
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
