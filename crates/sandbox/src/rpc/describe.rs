//! Users, groups and messages as objects of the schema, from one user's view.

use std::collections::BTreeSet;

use grammers_tl_types::{enums, types};

use super::defaults;
use crate::model::{
    Chat, ChatId, ContactRequirement, Peer, StoredMessage, UserId, UserProfile, World, count,
};

/// The world as one user sees it.
pub(crate) struct WorldView<'a> {
    pub(crate) world: &'a World,
    pub(crate) viewer: UserId,
}

impl WorldView<'_> {
    /// The user; `userEmpty` when unknown.
    pub(crate) fn user(&self, id: UserId) -> enums::User {
        match self.world.user(id) {
            Some(person) => enums::User::User(self.profile(person)),
            None => enums::User::Empty(types::UserEmpty { id: id.0 }),
        }
    }

    /// These users, without duplicates.
    pub(crate) fn users(&self, ids: impl IntoIterator<Item = UserId>) -> Vec<enums::User> {
        let ids: BTreeSet<UserId> = ids.into_iter().collect();
        ids.into_iter().map(|id| self.user(id)).collect()
    }

    /// These groups, without duplicates.
    pub(crate) fn chats(&self, ids: impl IntoIterator<Item = ChatId>) -> Vec<enums::Chat> {
        let ids: BTreeSet<ChatId> = ids.into_iter().collect();
        ids.into_iter().filter_map(|id| self.world.chat(id)).map(|chat| self.chat(chat)).collect()
    }

    fn profile(&self, person: &UserProfile) -> types::User {
        let own = person.id == self.viewer;
        let account = self.world.account(self.viewer);
        let contact = account.and_then(|account| account.contacts.get(&person.id));
        let shows_phone = (own || contact.is_some()) && !person.phone.is_empty();
        let reach = if own { ContactRequirement::Anyone } else { self.world.reach(person.id) };
        types::User {
            is_self: own,
            contact: contact.is_some(),
            mutual_contact: contact.is_some_and(|contact| contact.mutual),
            close_friend: contact.is_some_and(|contact| contact.close_friend),
            deleted: person.deleted,
            bot: person.bot,
            bot_info_version: person.bot.then_some(1),
            premium: person.premium,
            verified: person.is_service(),
            support: person.is_service(),
            access_hash: Some(person.access_hash()),
            first_name: Some(person.first_name.clone()),
            last_name: Some(person.last_name.clone()).filter(|name| !name.is_empty()),
            username: person.username.clone(),
            phone: shows_phone.then(|| person.phone.clone()),
            status: (!person.bot)
                .then_some(enums::UserStatus::Recently(types::UserStatusRecently { by_me: false })),
            contact_require_premium: reach == ContactRequirement::Premium,
            send_paid_messages_stars: match reach {
                ContactRequirement::Paid(stars) => Some(stars),
                ContactRequirement::Anyone | ContactRequirement::Premium => None,
            },
            ..defaults::user(person.id.0)
        }
    }

    pub(crate) fn chat(&self, chat: &Chat) -> enums::Chat {
        let (creator, left) = (chat.creator == self.viewer, !chat.has(self.viewer));
        let participants = count(chat.members.len());
        if chat.channel().is_none() {
            return enums::Chat::Chat(types::Chat {
                creator,
                left,
                title: chat.title.clone(),
                participants_count: participants,
                date: chat.created,
                version: 1,
                ..defaults::chat(chat.id.0)
            });
        }
        enums::Chat::Channel(types::Channel {
            creator,
            left,
            megagroup: true,
            access_hash: Some(chat.access_hash()),
            title: chat.title.clone(),
            username: chat.username.clone(),
            date: chat.created,
            participants_count: Some(participants),
            ..defaults::channel(chat.id.0)
        })
    }

    pub(crate) fn message(&self, message: &StoredMessage) -> enums::Message {
        let own = message.from == self.viewer;
        enums::Message::Message(types::Message {
            out: own && message.peer != Peer::User(self.viewer),
            from_id: Some(peer(Peer::User(message.from))),
            // Saved messages are grouped by their source.
            saved_peer_id: (message.peer == Peer::User(self.viewer))
                .then(|| peer(Peer::User(message.from))),
            date: message.date,
            message: message.text.clone(),
            ..defaults::message(message.id, peer(message.peer))
        })
    }

    /// Updates, with the users and groups that they refer to.
    pub(crate) fn updates(
        &self,
        updates: Vec<enums::Update>,
        named: &[Peer],
        date: i32,
    ) -> enums::Updates {
        let users = self.users(named.iter().filter_map(|peer| peer.user()));
        let chats = self.chats(named.iter().filter_map(|peer| peer.chat()));
        enums::Updates::Updates(types::Updates { updates, users, chats, date, seq: 0 })
    }
}

/// A peer as an object of the schema.
pub(crate) fn peer(peer: Peer) -> enums::Peer {
    match peer {
        Peer::User(user) => enums::Peer::User(types::PeerUser { user_id: user.0 }),
        Peer::Group(chat) => enums::Peer::Chat(types::PeerChat { chat_id: chat.0 }),
        Peer::Channel(chat) => enums::Peer::Channel(types::PeerChannel { channel_id: chat.0 }),
    }
}

/// The users that messages refer to.
pub(crate) fn users_in<'a>(
    messages: impl IntoIterator<Item = &'a StoredMessage>,
) -> impl Iterator<Item = UserId> {
    let both = |message: &'a StoredMessage| [Some(message.from), message.peer.user()];
    messages.into_iter().flat_map(both).flatten()
}
