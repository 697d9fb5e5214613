use std::collections::BTreeMap;

use super::user_profile::access_hash;
use super::{ChatId, Peer, StoredMessage, UserId};

/// The kind of a group.
#[derive(Clone, Debug)]
pub(crate) enum ChatKind {
    /// A basic group: each member has its own copy of the messages.
    Basic,
    /// A supergroup: the messages belong to the group.
    Super(ChannelHistory),
}

/// The messages of a supergroup and its `pts`.
#[derive(Clone, Debug)]
pub(crate) struct ChannelHistory {
    pub(crate) pts: i32,
    last_id: i32,
    pub(crate) messages: BTreeMap<i32, StoredMessage>,
    /// The messages to send as updates, by the `pts` after each.
    arrivals: BTreeMap<i32, i32>,
}

/// A group of users.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    pub(crate) id: ChatId,
    pub(crate) kind: ChatKind,
    pub(crate) title: String,
    pub(crate) username: Option<String>,
    pub(crate) created: i32,
    pub(crate) creator: UserId,
    /// Members with their time of joining, including the creator.
    pub(crate) members: BTreeMap<UserId, i32>,
}

impl Chat {
    pub(crate) fn peer(&self) -> Peer {
        match self.kind {
            ChatKind::Basic => Peer::Group(self.id),
            ChatKind::Super(_) => Peer::Channel(self.id),
        }
    }

    pub(crate) fn has(&self, user: UserId) -> bool {
        self.members.contains_key(&user)
    }

    /// The access hash of a supergroup.
    pub(crate) fn access_hash(&self) -> i64 {
        access_hash(self.id.0)
    }

    pub(crate) fn channel(&self) -> Option<&ChannelHistory> {
        match &self.kind {
            ChatKind::Basic => None,
            ChatKind::Super(channel) => Some(channel),
        }
    }

    pub(crate) fn channel_mut(&mut self) -> Option<&mut ChannelHistory> {
        match &mut self.kind {
            ChatKind::Basic => None,
            ChatKind::Super(channel) => Some(channel),
        }
    }
}

impl Default for ChannelHistory {
    fn default() -> Self {
        Self { pts: 1, last_id: 0, messages: BTreeMap::new(), arrivals: BTreeMap::new() }
    }
}

impl ChannelHistory {
    /// Turns all changes so far into history that is not sent as updates, and adds `offset` to the
    /// numbers of offset messages.
    pub(crate) fn mark_as_history(&mut self, offset: i32) {
        self.arrivals.clear();
        self.pts += offset;
        self.last_id += offset;
    }

    /// The messages after `pts`, each with the `pts` after it.
    pub(crate) fn since(&self, pts: i32) -> impl Iterator<Item = (i32, &StoredMessage)> {
        let arrivals = self.arrivals.range(pts.saturating_add(1)..);
        arrivals.filter_map(|(after, id)| Some((*after, self.messages.get(id)?)))
    }

    /// Adds a message and returns its id.
    pub(crate) fn add(&mut self, message: impl FnOnce(i32) -> StoredMessage) -> i32 {
        self.pts += 1;
        self.last_id += 1;
        self.messages.insert(self.last_id, message(self.last_id));
        self.arrivals.insert(self.pts, self.last_id);
        self.last_id
    }
}
