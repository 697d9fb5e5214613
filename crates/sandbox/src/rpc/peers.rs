//! Resolves the users and chats of a call. Ids come with an access hash, and both must match.

use grammers_tl_types::enums;

use super::{CallContext, RpcError};
use crate::model::{ChatId, Peer, UserId};

const USER_ID_INVALID: RpcError = RpcError::bad_request("USER_ID_INVALID");
const PEER_ID_INVALID: RpcError = RpcError::bad_request("PEER_ID_INVALID");
const CHAT_ID_INVALID: RpcError = RpcError::bad_request("CHAT_ID_INVALID");
const CHANNEL_INVALID: RpcError = RpcError::bad_request("CHANNEL_INVALID");

/// The user of a call.
pub(super) fn user(ctx: &mut CallContext<'_>, user: &enums::InputUser) -> Result<UserId, RpcError> {
    let (id, hash) = match user {
        enums::InputUser::UserSelf => return ctx.me(),
        enums::InputUser::User(user) => (user.user_id, Some(user.access_hash)),
        enums::InputUser::FromMessage(user) => (user.user_id, None),
        enums::InputUser::Empty => return Err(USER_ID_INVALID),
    };
    known_user(ctx, id, hash).ok_or(USER_ID_INVALID)
}

/// The user or group of a call; the caller must be in the group.
pub(super) fn peer(ctx: &mut CallContext<'_>, peer: &enums::InputPeer) -> Result<Peer, RpcError> {
    match peer {
        enums::InputPeer::Empty => Err(PEER_ID_INVALID),
        enums::InputPeer::PeerSelf => Ok(Peer::User(ctx.me()?)),
        enums::InputPeer::User(user) => {
            let user = known_user(ctx, user.user_id, Some(user.access_hash));
            user.map(Peer::User).ok_or(PEER_ID_INVALID)
        }
        enums::InputPeer::UserFromMessage(user) => {
            known_user(ctx, user.user_id, None).map(Peer::User).ok_or(PEER_ID_INVALID)
        }
        enums::InputPeer::Chat(chat) => {
            let peer = basic_group(ctx, chat.chat_id).map_err(|_| PEER_ID_INVALID)?;
            Ok(Peer::Group(peer))
        }
        enums::InputPeer::Channel(channel) => {
            let hash = Some(channel.access_hash);
            known_channel(ctx, channel.channel_id, hash).map(Peer::Channel)
        }
        enums::InputPeer::ChannelFromMessage(channel) => {
            known_channel(ctx, channel.channel_id, None).map(Peer::Channel)
        }
    }
}

/// The basic group of a call.
pub(super) fn basic_group(ctx: &mut CallContext<'_>, id: i64) -> Result<ChatId, RpcError> {
    let me = ctx.me()?;
    let chat = ctx.world.chat(ChatId(id)).filter(|chat| chat.channel().is_none());
    chat.filter(|chat| chat.has(me)).map(|chat| chat.id).ok_or(CHAT_ID_INVALID)
}

/// The supergroup of a call.
pub(super) fn supergroup(
    ctx: &mut CallContext<'_>,
    channel: &enums::InputChannel,
) -> Result<ChatId, RpcError> {
    match channel {
        enums::InputChannel::Empty => Err(CHANNEL_INVALID),
        enums::InputChannel::Channel(channel) => {
            known_channel(ctx, channel.channel_id, Some(channel.access_hash))
        }
        enums::InputChannel::FromMessage(channel) => known_channel(ctx, channel.channel_id, None),
    }
}

fn known_user(ctx: &CallContext<'_>, id: i64, hash: Option<i64>) -> Option<UserId> {
    let person = ctx.world.user(UserId(id))?;
    hash.is_none_or(|hash| hash == person.access_hash()).then_some(person.id)
}

fn known_channel(
    ctx: &mut CallContext<'_>,
    id: i64,
    hash: Option<i64>,
) -> Result<ChatId, RpcError> {
    let me = ctx.me()?;
    let chat = ctx.world.chat(ChatId(id)).filter(|chat| chat.channel().is_some());
    let right = |given: i64| chat.is_some_and(|chat| chat.access_hash() == given);
    match chat.filter(|_| hash.is_none_or(right)) {
        None => Err(CHANNEL_INVALID),
        Some(chat) if !chat.has(me) && chat.username.is_none() => {
            Err(RpcError::bad_request("CHANNEL_PRIVATE"))
        }
        Some(chat) => Ok(chat.id),
    }
}

/// The user or group at which a page starts; its access hash is not checked.
pub(super) fn offset(peer: &enums::InputPeer) -> Option<Peer> {
    match peer {
        enums::InputPeer::User(user) => Some(Peer::User(UserId(user.user_id))),
        enums::InputPeer::Chat(chat) => Some(Peer::Group(ChatId(chat.chat_id))),
        enums::InputPeer::Channel(channel) => Some(Peer::Channel(ChatId(channel.channel_id))),
        _ => None,
    }
}
