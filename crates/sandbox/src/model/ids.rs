/// A user's identifier, as Telegram numbers them; the same in `TDLib`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub i64);

/// A group's identifier, as Telegram numbers them: positive, unlike `TDLib`'s chat identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatId(pub i64);

/// Whom a dialog is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A user, or the account itself: its saved messages.
    User(UserId),
    /// A basic group.
    Group(ChatId),
    /// A supergroup or a channel.
    Channel(ChatId),
}

/// What `TDLib` puts before the number of a supergroup or channel.
const CHANNEL_PREFIX: i64 = -1_000_000_000_000;

impl Peer {
    /// What `TDLib` calls this chat (`chat_id`).
    pub fn tdlib_chat_id(self) -> i64 {
        match self {
            Self::User(user) => user.0,
            Self::Group(chat) => -chat.0,
            Self::Channel(chat) => CHANNEL_PREFIX - chat.0,
        }
    }

    /// The user that it is, if it is one.
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Group(_) | Self::Channel(_) => None,
        }
    }

    /// The group that it is, if it is one.
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
