//! A message on its way into everyone's mailbox.

use super::{BlockList, ChatId, Message, Peer, UserId, World};

/// A message that is not in any mailbox yet.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) from: UserId,
    /// The dialog, as the sender sees it.
    pub(crate) to: Peer,
    pub(crate) text: String,
    /// What the sender's client calls it; 0 when it has not been asked.
    pub(crate) random_id: i64,
    pub(crate) date: i32,
}

/// Where a message has come to, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Mailbox { owner: UserId, id: i32, pts: i32 },
    Channel { chat: ChatId, id: i32, pts: i32 },
}

impl World {
    /// Delivers a message to everyone who has a mailbox, the sender first.
    pub(crate) fn deliver(&mut self, draft: &Draft) -> Vec<Place> {
        match draft.to {
            Peer::User(user) => {
                let mut owners = vec![(draft.from, draft.to)];
                if user != draft.from && !self.has_blocked(user, draft.from) {
                    owners.push((user, Peer::User(draft.from)));
                }
                self.put(draft, owners)
            }
            Peer::Group(chat) => {
                let members = self.chat(chat).into_iter().flat_map(|chat| chat.members.keys());
                let mut owners: Vec<UserId> = members.copied().collect();
                owners.sort_by_key(|member| *member != draft.from);
                self.put(draft, owners.into_iter().map(|owner| (owner, draft.to)).collect())
            }
            Peer::Channel(chat) => self.put_into_channel(draft, chat).into_iter().collect(),
        }
    }

    fn put(&mut self, draft: &Draft, owners: Vec<(UserId, Peer)>) -> Vec<Place> {
        let mut places = Vec::new();
        for (owner, peer) in owners {
            let Some(account) = self.account_mut(owner) else { continue };
            let random_id = if owner == draft.from { draft.random_id } else { 0 };
            let id = account.mailbox.add(Message { peer, random_id, ..draft.message(0) });
            let own = owner == draft.from;
            if own {
                account.mailbox.read_all(peer, id);
            }
            places.push(Place::Mailbox { owner, id, pts: account.mailbox.pts });
        }
        places
    }

    fn put_into_channel(&mut self, draft: &Draft, chat: ChatId) -> Option<Place> {
        let channel = self.chat_mut(chat)?.channel_mut()?;
        let id = channel.add(|id| draft.message(id));
        Some(Place::Channel { chat, id, pts: channel.pts })
    }

    fn has_blocked(&self, user: UserId, whom: UserId) -> bool {
        let blocks = self.account(user).map(|account| &account.blocks);
        blocks.is_some_and(|blocks| blocks.has(BlockList::Main, Peer::User(whom)))
    }
}

impl Draft {
    fn message(&self, id: i32) -> Message {
        Message {
            id,
            from: self.from,
            peer: self.to,
            date: self.date,
            text: self.text.clone(),
            random_id: self.random_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chat, fleet_user};
    use super::*;

    fn draft(to: Peer) -> Draft {
        Draft { from: fleet_user(1), to, text: "hi".to_owned(), random_id: 9, date: 0 }
    }

    #[test]
    fn both_sides_get_the_message_unless_one_has_blocked_the_other() {
        let (one, two) = (fleet_user(1), fleet_user(2));
        let mut world = World::with_accounts(2, 0);
        let places = world.deliver(&draft(Peer::User(two)));
        let owners = |places: &[Place]| -> Vec<UserId> {
            let owner = |place: &Place| match place {
                Place::Mailbox { owner, .. } => Some(*owner),
                Place::Channel { .. } => None,
            };
            places.iter().filter_map(owner).collect()
        };
        assert_eq!(owners(&places), [one, two]);
        let inbox = &world.account(two).unwrap().mailbox.dialogs[&Peer::User(one)];
        assert_eq!(inbox.messages.values().next().unwrap().random_id, 0);
        let blocks = &mut world.account_mut(two).unwrap().blocks;
        blocks.block(BlockList::Main, Peer::User(one), 0);
        assert_eq!(owners(&world.deliver(&draft(Peer::User(two)))), [one]);
    }

    #[test]
    fn a_supergroup_keeps_its_messages_itself() {
        let mut world = World::with_accounts(1, 0);
        let groups = world.chats_of(fleet_user(1)).map(Chat::peer);
        let supergroup = groups.filter(|peer| matches!(peer, Peer::Channel(_))).last().unwrap();
        let places = world.deliver(&draft(supergroup));
        assert!(matches!(places[..], [Place::Channel { pts: 3, id: 2, .. }]), "{places:?}");
    }
}
