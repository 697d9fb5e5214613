//! The accounts of the sandbox: what Telegram would know, apart from how it is asked for.

mod account;
mod session;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::keys::KeyId;

pub(crate) use account::Account;
pub(crate) use session::{Device, LoginSession};

/// A user's identifier, as Telegram numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct UserId(pub(crate) i64);

/// Number of a fleet account's user, less the account's own number.
const FLEET: i64 = 1_000_000;

/// The user of account `number` of the default fleet.
pub(crate) fn fleet_user(number: u32) -> UserId {
    UserId(FLEET + i64::from(number))
}

/// The phone number of account `number` of the default fleet, such as `+15550000001`.
pub(crate) fn fleet_phone(number: u32) -> String {
    format!("+1555{number:07}")
}

/// The login code of account `number` of the default fleet: 12345 for the first, then counting.
pub(crate) fn fleet_code(number: u32) -> String {
    format!("{:05}", (12_344 + u64::from(number)) % 100_000)
}

/// What a key is to the accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is not logged in.
    Guest,
    /// It is logged in as this user.
    Member(UserId),
    /// It was logged in, and its session was ended from elsewhere.
    Revoked,
}

/// Everything there is.
#[derive(Default)]
pub(crate) struct World {
    accounts: BTreeMap<UserId, Account>,
    phones: HashMap<String, UserId>,
    members: HashMap<KeyId, UserId>,
    revoked: HashSet<KeyId>,
}

impl World {
    /// The default fleet.
    pub(crate) fn with_accounts(count: u32, now: i32) -> Self {
        let mut world = Self::default();
        for number in 1..=count {
            let user = fleet_user(number);
            world.phones.insert(digits(&fleet_phone(number)), user);
            world.accounts.insert(user, Account::of_fleet(number, now));
        }
        world
    }

    pub(crate) fn standing(&self, key: KeyId) -> Standing {
        match self.members.get(&key) {
            Some(user) => Standing::Member(*user),
            None if self.revoked.contains(&key) => Standing::Revoked,
            None => Standing::Guest,
        }
    }

    /// The account a phone number belongs to, however it is written.
    pub(crate) fn by_phone(&self, phone: &str) -> Option<&Account> {
        self.accounts.get(self.phones.get(&digits(phone))?)
    }

    /// The account `key` is logged in to.
    pub(crate) fn account_of(&mut self, key: KeyId) -> Option<&mut Account> {
        self.accounts.get_mut(self.members.get(&key)?)
    }

    /// Logs `key` in.
    pub(crate) fn log_in(&mut self, key: KeyId, user: UserId, device: Device, now: i32) {
        if let Some(account) = self.accounts.get_mut(&user) {
            account.sessions.push(LoginSession::new(Some(key), device, now));
            self.members.insert(key, user);
            self.revoked.remove(&key);
        }
    }

    /// Ends the sessions of the account of `key` that `which` chooses; how many there were.
    pub(crate) fn revoke(&mut self, key: KeyId, which: impl Fn(&LoginSession) -> bool) -> usize {
        let Some(account) = self.account_of(key) else { return 0 };
        let ended: Vec<LoginSession> = account.sessions.extract_if(.., |s| which(s)).collect();
        for key in ended.iter().filter_map(|session| session.key) {
            self.members.remove(&key);
            self.revoked.insert(key);
        }
        ended.len()
    }

    /// Forgets a key that exists no longer, and its session.
    pub(crate) fn forget_key(&mut self, key: KeyId) {
        self.revoke(key, |session| session.key == Some(key));
        self.revoked.remove(&key);
    }

    /// The keys that are logged in as `user`, but for one.
    pub(crate) fn keys_of(&self, user: UserId, except: Option<KeyId>) -> HashSet<KeyId> {
        let sessions = self.accounts.get(&user).into_iter().flat_map(|account| &account.sessions);
        sessions.filter_map(|session| session.key).filter(|key| Some(*key) != except).collect()
    }
}

fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyId = KeyId(1);

    #[test]
    fn a_login_adds_a_session_and_a_revoke_ends_it() {
        let mut world = World::with_accounts(2, 0);
        let user = world.by_phone("+1 555 000 00 02").unwrap().user;
        world.log_in(KEY, user, Device::default(), 5);
        assert_eq!(world.standing(KEY), Standing::Member(user));
        assert_eq!(world.account_of(KEY).unwrap().sessions.len(), 2);
        assert_eq!(world.revoke(KEY, |session| session.key.is_some()), 1);
        assert_eq!(world.standing(KEY), Standing::Revoked);
        assert!(world.keys_of(user, None).is_empty());
    }

    #[test]
    fn the_first_code_is_the_usual_one_and_the_next_differ() {
        assert_eq!(fleet_code(1), "12345");
        assert_eq!(fleet_code(2), "12346");
        assert_eq!(fleet_phone(1), "+15550000001");
    }
}
