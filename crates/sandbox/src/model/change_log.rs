use std::collections::VecDeque;

use super::{Peer, PrivacyKey, UserId};

/// News that are remembered, for clients that were away.
const REMEMBERED: usize = 1000;

/// Something of an account that has changed, and is looked up when it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountChange {
    /// The rules of a privacy key.
    Privacy(PrivacyKey),
    /// Which block lists someone is on.
    Blocked(Peer),
    /// What the account makes of a user.
    User(UserId),
    /// Whether a session waits to be confirmed, by its hash.
    Session(i64),
}

/// What has happened to an account, besides its messages.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog(VecDeque<(i32, AccountChange)>);

impl ChangeLog {
    /// Notes what has happened at `now`, unix seconds.
    pub(crate) fn record(&mut self, change: AccountChange, now: i32) {
        self.0.retain(|(_, known)| *known != change);
        self.0.push_back((now, change));
        if REMEMBERED < self.0.len() {
            self.0.pop_front();
        }
    }

    /// What has happened since `date`, that second included: telling it twice does no harm.
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
