//! Delivery of a message to the mailboxes of its recipients.

use super::{BlockList, ChatId, Peer, StoredMessage, UserId, World};

/// A message that is not in any mailbox yet.
#[derive(Clone, Debug)]
pub(crate) struct MessageDraft {
    pub(crate) from: UserId,
    /// The dialog, as the sender sees it.
    pub(crate) to: Peer,
    pub(crate) text: String,
    /// The `random_id` of the sender's client; 0 when no client sent it.
    pub(crate) random_id: i64,
    pub(crate) date: i32,
}

/// A delivered message: its place, its id and the `pts` after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveredMessage {
    Mailbox { owner: UserId, id: i32, pts: i32 },
    Channel { chat: ChatId, id: i32, pts: i32 },
}

/// Delivers a message to all recipients that have an account, the sender first.
pub(crate) fn deliver(world: &mut World, draft: &MessageDraft) -> Vec<DeliveredMessage> {
    match draft.to {
        Peer::User(user) => {
            let mut owners = vec![(draft.from, draft.to)];
            if user != draft.from && !has_blocked(world, user, draft.from) {
                owners.push((user, Peer::User(draft.from)));
            }
            put(world, draft, owners)
        }
        Peer::Group(chat) => {
            let members = world.chat(chat).into_iter().flat_map(|chat| chat.members.keys());
            let mut owners: Vec<UserId> = members.copied().collect();
            owners.sort_by_key(|member| *member != draft.from);
            put(world, draft, owners.into_iter().map(|owner| (owner, draft.to)).collect())
        }
        Peer::Channel(chat) => put_into_channel(world, draft, chat).into_iter().collect(),
    }
}

fn put(
    world: &mut World,
    draft: &MessageDraft,
    owners: Vec<(UserId, Peer)>,
) -> Vec<DeliveredMessage> {
    let mut places = Vec::new();
    for (owner, peer) in owners {
        let Some(account) = world.account_mut(owner) else { continue };
        let random_id = if owner == draft.from { draft.random_id } else { 0 };
        let id = account.mailbox.add(StoredMessage { peer, random_id, ..draft.message(0) });
        let own = owner == draft.from;
        if own {
            account.mailbox.read_all(peer, id);
        }
        places.push(DeliveredMessage::Mailbox { owner, id, pts: account.mailbox.pts });
    }
    places
}

fn put_into_channel(
    world: &mut World,
    draft: &MessageDraft,
    chat: ChatId,
) -> Option<DeliveredMessage> {
    let channel = world.chat_mut(chat)?.channel_mut()?;
    let id = channel.add(|id| draft.message(id));
    Some(DeliveredMessage::Channel { chat, id, pts: channel.pts })
}

fn has_blocked(world: &World, user: UserId, whom: UserId) -> bool {
    let blocks = world.account(user).map(|account| &account.blocks);
    blocks.is_some_and(|blocks| blocks.has(BlockList::Main, Peer::User(whom)))
}

impl MessageDraft {
    fn message(&self, id: i32) -> StoredMessage {
        StoredMessage {
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
    use super::super::{Chat, default_user, default_world};
    use super::*;

    fn draft(to: Peer) -> MessageDraft {
        MessageDraft { from: default_user(1), to, text: "hi".to_owned(), random_id: 9, date: 0 }
    }

    #[test]
    fn both_sides_get_the_message_unless_one_has_blocked_the_other() {
        let (one, two) = (default_user(1), default_user(2));
        let mut world = default_world(2, 0);
        let places = deliver(&mut world, &draft(Peer::User(two)));
        let owners = |places: &[DeliveredMessage]| -> Vec<UserId> {
            let owner = |place: &DeliveredMessage| match place {
                DeliveredMessage::Mailbox { owner, .. } => Some(*owner),
                DeliveredMessage::Channel { .. } => None,
            };
            places.iter().filter_map(owner).collect()
        };
        assert_eq!(owners(&places), [one, two]);
        let inbox = &world.account(two).unwrap().mailbox.dialogs[&Peer::User(one)];
        assert_eq!(inbox.messages.values().next().unwrap().random_id, 0);
        let blocks = &mut world.account_mut(two).unwrap().blocks;
        blocks.block(BlockList::Main, Peer::User(one), 0);
        assert_eq!(owners(&deliver(&mut world, &draft(Peer::User(two)))), [one]);
    }

    #[test]
    fn a_supergroup_keeps_its_messages_itself() {
        let mut world = default_world(1, 0);
        let groups = world.chats_of(default_user(1)).map(Chat::peer);
        let supergroup = groups.filter(|peer| matches!(peer, Peer::Channel(_))).last().unwrap();
        let places = deliver(&mut world, &draft(supergroup));
        assert!(
            matches!(places[..], [DeliveredMessage::Channel { pts: 3, id: 2, .. }]),
            "{places:?}"
        );
    }
}
