use serde::Serialize;

use super::{OkAnswer, method};
use crate::answers::{ChatFields, SenderPage, TdVariant, UserFields};
use crate::enums::{BlockList, CanSendMessageToUserResult, MessageSender};
use crate::types::Users;

/// The account's own user.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetMe;
method!(GetMe, "getMe", UserFields);

/// A user that TDLib knows; answered locally.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetUser {
    /// The user.
    pub user_id: i64,
}
method!(GetUser, "getUser", UserFields);

/// The account's contacts. TDLib loads them from Telegram, and knows them all afterwards.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetContacts;
method!(GetContacts, "getContacts", Users);

/// A chat that TDLib knows; answered locally.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetChat {
    /// The chat.
    pub chat_id: i64,
}
method!(GetChat, "getChat", ChatFields);

/// Puts a user or chat on a block list, or removes a user from the main one.
///
/// TDLib answers before Telegram has confirmed it, and reports no refusal.
#[derive(Clone, Debug, Serialize)]
pub struct SetMessageSenderBlockList {
    /// The user or chat.
    pub sender_id: MessageSender,
    /// The list; `None` unblocks.
    pub block_list: Option<BlockList>,
}
method!(SetMessageSenderBlockList, "setMessageSenderBlockList", OkAnswer);

/// A page of a block list.
#[derive(Clone, Debug, Serialize)]
pub struct GetBlockedMessageSenders {
    /// The list.
    pub block_list: BlockList,
    /// How many to skip.
    pub offset: i32,
    /// How many to return, at most 100.
    pub limit: i32,
}
method!(GetBlockedMessageSenders, "getBlockedMessageSenders", SenderPage);

/// The account's close friends.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetCloseFriends;
method!(GetCloseFriends, "getCloseFriends", Users);

/// Replaces the account's close friends.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SetCloseFriends<'a> {
    /// The whole list; all must be contacts.
    pub user_ids: &'a [i64],
}
method!(SetCloseFriends<'_>, "setCloseFriends", OkAnswer);

/// Whether the account may write to a user.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CanSendMessageToUser {
    /// The user.
    pub user_id: i64,
    /// Answer only from local data, without asking Telegram.
    pub only_local: bool,
}
method!(CanSendMessageToUser, "canSendMessageToUser", TdVariant<CanSendMessageToUserResult>);
