use std::collections::{BTreeMap, VecDeque};

use super::{Peer, UserId};

/// Number of changes kept for clients that were offline.
const REMEMBERED: usize = 10_000;

/// A text message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredMessage {
    /// Its id in the account's mailbox, or in the supergroup.
    pub(crate) id: i32,
    pub(crate) from: UserId,
    /// The dialog it is in, from its owner's view.
    pub(crate) peer: Peer,
    pub(crate) date: i32,
    pub(crate) text: String,
    /// The sender's `random_id`; 0 for an incoming message.
    pub(crate) random_id: i64,
}

/// One change of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MailboxChange {
    Arrived(i32),
    Deleted(Vec<i32>),
}

/// An account's messages with users and in basic groups; they share one sequence of ids.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) pts: i32,
    last_id: i32,
    pub(crate) dialogs: BTreeMap<Peer, Dialog>,
    /// The changes, each with the `pts` after it.
    changes: VecDeque<(i32, MailboxChange)>,
    /// The `pts` after the last change that is no longer kept.
    lost: i32,
}

/// The messages with one peer. For a supergroup it holds only the read marks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialog {
    pub(crate) messages: BTreeMap<i32, StoredMessage>,
    /// The last message the account has read.
    pub(crate) read_inbox: i32,
    /// The account's last message that the other side has read.
    pub(crate) read_outbox: i32,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { pts: 1, last_id: 0, dialogs: BTreeMap::new(), changes: VecDeque::new(), lost: 0 }
    }
}

impl Mailbox {
    /// Adds a message to its dialog and returns its id.
    pub(crate) fn add(&mut self, mut message: StoredMessage) -> i32 {
        self.last_id += 1;
        message.id = self.last_id;
        let (peer, id) = (message.peer, message.id);
        self.dialogs.entry(peer).or_default().messages.insert(id, message);
        self.note(MailboxChange::Arrived(id), 1);
        id
    }

    /// Removes the messages selected by `wanted`, in any dialog; returns their ids.
    pub(crate) fn remove(&mut self, wanted: impl Fn(&StoredMessage) -> bool) -> Vec<i32> {
        let mut removed = Vec::new();
        for dialog in self.dialogs.values_mut() {
            let gone = dialog.messages.extract_if(.., |_, message| wanted(message));
            removed.extend(gone.map(|(id, _)| id));
        }
        if !removed.is_empty() {
            self.note(MailboxChange::Deleted(removed.clone()), count(removed.len()));
        }
        removed
    }

    /// The message with this id.
    pub(crate) fn message(&self, id: i32) -> Option<&StoredMessage> {
        self.dialogs.values().find_map(|dialog| dialog.messages.get(&id))
    }

    /// Marks the dialog as read up to `id`.
    pub(crate) fn read_all(&mut self, peer: Peer, id: i32) {
        let dialog = self.dialogs.entry(peer).or_default();
        dialog.read_inbox = dialog.read_inbox.max(id);
    }

    /// Turns all changes so far into history that is not sent as updates, and adds `offset` to the
    /// numbers of offset messages.
    pub(crate) fn mark_as_history(&mut self, offset: i32) {
        self.changes.clear();
        self.pts += offset;
        self.last_id += offset;
    }

    /// The changes after `pts`; `None` when some of them are no longer kept.
    pub(crate) fn since(&self, pts: i32) -> Option<impl Iterator<Item = &(i32, MailboxChange)>> {
        (self.lost <= pts).then(|| self.changes.iter().filter(move |(after, _)| pts < *after))
    }

    fn note(&mut self, change: MailboxChange, size: i32) {
        self.pts += size;
        self.changes.push_back((self.pts, change));
        if REMEMBERED < self.changes.len()
            && let Some((pts, _)) = self.changes.pop_front()
        {
            self.lost = pts;
        }
    }
}

/// A length with the type of Telegram's schema.
pub(crate) fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(peer: Peer) -> StoredMessage {
        let text = "hello".to_owned();
        StoredMessage { id: 0, from: UserId(1), peer, date: 0, text, random_id: 0 }
    }

    #[test]
    fn changes_are_numbered_and_returned_from_any_number_on() {
        let peer = Peer::User(UserId(2));
        let mut mailbox = Mailbox::default();
        assert_eq!([mailbox.add(message(peer)), mailbox.add(message(peer))], [1, 2]);
        assert_eq!(mailbox.pts, 3);
        assert_eq!(mailbox.remove(|_| true), [1, 2]);
        assert_eq!(mailbox.pts, 5);
        let since = |pts| mailbox.since(pts).map(|changes| changes.cloned().collect::<Vec<_>>());
        assert_eq!(since(2).unwrap()[0], (3, MailboxChange::Arrived(2)));
        assert_eq!(since(3).unwrap(), [(5, MailboxChange::Deleted(vec![1, 2]))]);
        assert!(since(5).unwrap().is_empty());
        mailbox.mark_as_history(100);
        assert_eq!(mailbox.add(message(peer)), 103);
        mailbox.mark_as_history(0);
        assert!(mailbox.since(0).unwrap().next().is_none());
    }

    #[test]
    fn a_change_that_is_no_longer_kept_is_reported() {
        let mut mailbox = Mailbox::default();
        for _ in 0..=REMEMBERED {
            mailbox.add(message(Peer::User(UserId(2))));
        }
        assert!(mailbox.since(1).is_none());
        assert_eq!(mailbox.since(2).unwrap().count(), REMEMBERED);
    }
}
