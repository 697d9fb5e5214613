/// Telegram's id of a user; the same in TDLib.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub i64);

/// Telegram's id of a group: positive, unlike TDLib's chat ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatId(pub i64);

/// The other side of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A user, or the account itself: its saved messages.
    User(UserId),
    /// A basic group.
    Group(ChatId),
    /// A supergroup or a channel.
    Channel(ChatId),
}

/// TDLib's chat id of a supergroup or channel is this minus its id.
const CHANNEL_PREFIX: i64 = -1_000_000_000_000;

impl Peer {
    /// TDLib's `chat_id` of this chat.
    pub fn tdlib_chat_id(self) -> i64 {
        match self {
            Self::User(user) => user.0,
            Self::Group(chat) => -chat.0,
            Self::Channel(chat) => CHANNEL_PREFIX - chat.0,
        }
    }

    /// The user, if it is one.
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Group(_) | Self::Channel(_) => None,
        }
    }

    /// The group, if it is one.
    pub fn chat(self) -> Option<ChatId> {
        match self {
            Self::User(_) => None,
            Self::Group(chat) | Self::Channel(chat) => Some(chat),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_are_named_as_tdlib_names_them() {
        assert_eq!(Peer::User(UserId(5)).tdlib_chat_id(), 5);
        assert_eq!(Peer::Group(ChatId(5)).tdlib_chat_id(), -5);
        assert_eq!(Peer::Channel(ChatId(5)).tdlib_chat_id(), -1_000_000_000_005);
    }
}
