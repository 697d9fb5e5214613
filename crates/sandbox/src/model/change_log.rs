use std::collections::VecDeque;

use super::{Peer, PrivacyKey, UserId};

/// Number of changes kept for clients that were offline.
const REMEMBERED: usize = 1000;

/// A change of an account, except for messages; the new value is looked up when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountChange {
    /// The rules of a privacy key.
    Privacy(PrivacyKey),
    /// The block lists a user or chat is on.
    Blocked(Peer),
    /// How the account sees a user.
    User(UserId),
    /// Whether a session is unconfirmed, by its hash.
    Session(i64),
}

/// The changes of an account, except for messages.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog(VecDeque<(i32, AccountChange)>);

impl ChangeLog {
    /// Records a change at `now`, unix seconds.
    pub(crate) fn record(&mut self, change: AccountChange, now: i32) {
        self.0.retain(|(_, known)| *known != change);
        self.0.push_back((now, change));
        if REMEMBERED < self.0.len() {
            self.0.pop_front();
        }
    }

    /// The changes since `date`, including that second: sending one twice does no harm.
    pub(crate) fn since(&self, date: i32) -> impl Iterator<Item = AccountChange> {
        self.0.iter().filter(move |(then, _)| date <= *then).map(|(_, change)| *change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_of_equal_changes_is_kept() {
        let mut log = ChangeLog::default();
        log.record(AccountChange::Session(1), 5);
        log.record(AccountChange::Session(2), 6);
        log.record(AccountChange::Session(1), 7);
        assert!(log.since(5).eq([AccountChange::Session(2), AccountChange::Session(1)]));
        assert!(log.since(7).eq([AccountChange::Session(1)]));
    }
}
