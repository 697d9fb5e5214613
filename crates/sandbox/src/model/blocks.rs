use super::Peer;

/// One of an account's two block lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockList {
    /// Users and chats that cannot write or call.
    Main,
    /// Users that do not see the account's stories.
    Stories,
}

/// The users and chats an account has blocked, with the time; most recent first.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockLists {
    main: Vec<(Peer, i32)>,
    stories: Vec<(Peer, i32)>,
}

impl BlockLists {
    pub(crate) fn list(&self, list: BlockList) -> &[(Peer, i32)] {
        match list {
            BlockList::Main => &self.main,
            BlockList::Stories => &self.stories,
        }
    }

    pub(crate) fn has(&self, list: BlockList, peer: Peer) -> bool {
        self.list(list).iter().any(|(blocked, _)| *blocked == peer)
    }

    /// Adds `peer` to a list; `false` when it was already there.
    pub(crate) fn block(&mut self, list: BlockList, peer: Peer, now: i32) -> bool {
        let is_new = !self.has(list, peer);
        if is_new {
            self.list_mut(list).insert(0, (peer, now));
        }
        is_new
    }

    /// Removes `peer` from a list; `false` when it was not there.
    pub(crate) fn unblock(&mut self, list: BlockList, peer: Peer) -> bool {
        let peers = self.list_mut(list);
        let before = peers.len();
        peers.retain(|(blocked, _)| *blocked != peer);
        peers.len() < before
    }

    fn list_mut(&mut self, list: BlockList) -> &mut Vec<(Peer, i32)> {
        match list {
            BlockList::Main => &mut self.main,
            BlockList::Stories => &mut self.stories,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;

    #[test]
    fn the_lists_are_independent_and_most_recent_first() {
        let (one, two) = (Peer::User(UserId(1)), Peer::User(UserId(2)));
        let mut blocks = BlockLists::default();
        assert!(blocks.block(BlockList::Main, one, 5));
        assert!(blocks.block(BlockList::Main, two, 6));
        assert!(!blocks.block(BlockList::Main, one, 7));
        assert_eq!(blocks.list(BlockList::Main), [(two, 6), (one, 5)]);
        assert!(!blocks.has(BlockList::Stories, one));
        assert!(blocks.unblock(BlockList::Main, one) && !blocks.unblock(BlockList::Main, one));
    }
}
