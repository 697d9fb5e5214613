//! Users and chats, as far as lists of them show them.

use schemars::JsonSchema;
use serde::Serialize;
use tdlib::answers::{ChatFields, PhotoFile, TdVariant, UserFields};
use tdlib::enums::{CanSendMessageToUserResult, MessageSender};

use super::type_name;

/// A user's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Profile")]
pub(crate) struct UserProfile {
    /// First name.
    first_name: String,
    /// Last name; may be empty.
    last_name: String,
    /// Both, with a space between.
    full_name: String,
    /// The first active username, without `@`.
    username: Option<String>,
}

impl From<&UserFields> for UserProfile {
    fn from(user: &UserFields) -> Self {
        let UserFields { first_name, last_name, .. } = user;
        let full_name = format!("{first_name} {last_name}").trim().to_owned();
        let username = user.username().map(str::to_owned);
        Self { first_name: first_name.clone(), last_name: last_name.clone(), full_name, username }
    }
}

/// A picture, in its small size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct AvatarFields {
    /// TDLib's file id, valid until the account is closed; null without a picture.
    avatar_file_id: Option<i32>,
    /// The file's persistent id for this account; null without a picture.
    avatar_remote_file_id: Option<String>,
}

impl AvatarFields {
    pub(crate) fn of(photo: Option<&PhotoFile>) -> Self {
        let remote_id = photo.and_then(PhotoFile::remote_id).map(str::to_owned);
        Self { avatar_file_id: photo.map(|file| file.id), avatar_remote_file_id: remote_id }
    }
}

/// Somebody on a block list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Sender")]
pub(crate) enum BlockedSender {
    /// A user.
    User {
        /// The user's id.
        id: i64,
        /// `messageSenderUser`.
        kind: &'static str,
        /// The user's name.
        profile: UserProfile,
        #[serde(flatten)]
        avatar: AvatarFields,
    },
    /// A chat.
    Chat {
        /// The chat's id.
        id: i64,
        /// `messageSenderChat`.
        kind: &'static str,
        /// TDLib's type name, such as `chatTypeSupergroup`.
        r#type: String,
        /// The chat's title.
        title: String,
        #[serde(flatten)]
        avatar: AvatarFields,
    },
    /// One whose details could not be read.
    Unknown {
        /// The user's or chat's id.
        id: i64,
        /// `messageSenderUser` or `messageSenderChat`.
        kind: &'static str,
    },
}

const USER: &str = "messageSenderUser";
const CHAT: &str = "messageSenderChat";

impl BlockedSender {
    pub(crate) fn user(user: &UserFields) -> Self {
        let avatar = AvatarFields::of(user.photo());
        Self::User { id: user.id, kind: USER, profile: user.into(), avatar }
    }

    pub(crate) fn chat(chat: ChatFields) -> Self {
        let avatar = AvatarFields::of(chat.photo());
        let (r#type, title) = (type_name(&chat.r#type), chat.title);
        Self::Chat { id: chat.id, kind: CHAT, r#type, title, avatar }
    }

    pub(crate) fn unknown(sender: &MessageSender) -> Self {
        match sender {
            MessageSender::User(user) => Self::Unknown { id: user.user_id, kind: USER },
            MessageSender::Chat(chat) => Self::Unknown { id: chat.chat_id, kind: CHAT },
        }
    }
}

/// A close friend.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Friend")]
pub(crate) struct CloseFriend {
    /// The user's id.
    pub(crate) user_id: i64,
    /// The user's name; null if it could not be read.
    pub(crate) profile: Option<UserProfile>,
}

/// Whether the account may write to a user.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the wire's own names")]
pub(crate) struct CanSend {
    /// The user's id.
    user_id: i64,
    /// Null if that is unknown.
    can_send: Option<bool>,
    /// `ok`, `paid_messages`, `deleted_or_unknown` or `restricts_new_chats`; null if that is
    /// unknown.
    reason: Option<&'static str>,
    /// Price of a message in Telegram Stars, with `paid_messages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outgoing_paid_message_star_count: Option<i64>,
    /// Why it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl CanSend {
    pub(crate) fn known(user_id: i64, result: &TdVariant<CanSendMessageToUserResult>) -> Self {
        use CanSendMessageToUserResult as Result;

        let TdVariant::Known(known) = result else {
            return Self::unknown(user_id, format!("unknown answer: {}", type_name(result)));
        };
        let (can_send, reason, price) = match known {
            Result::Ok => (true, "ok", None),
            Result::UserHasPaidMessages(paid) => {
                (true, "paid_messages", Some(paid.outgoing_paid_message_star_count))
            }
            Result::UserIsDeleted => (false, "deleted_or_unknown", None),
            Result::UserRestrictsNewChats => (false, "restricts_new_chats", None),
        };
        Self {
            user_id,
            can_send: Some(can_send),
            reason: Some(reason),
            outgoing_paid_message_star_count: price,
            error: None,
        }
    }

    pub(crate) fn unknown(user_id: i64, error: String) -> Self {
        Self {
            user_id,
            can_send: None,
            reason: None,
            outgoing_paid_message_star_count: None,
            error: Some(error),
        }
    }
}
