//! What a test does to a running sandbox, and what it asks of it.

use std::collections::BTreeMap;
use std::time::Duration;

use grammers_tl_types::{Deserializable, Serializable, enums};
use tokio::time::Instant;

use crate::dispatch::fleet_number;
use crate::faults::{Fault, FaultId};
use crate::keys::KeyId;
use crate::model::{Peer, Standing, fleet_user};
use crate::record::{Call, HotLoop};
use crate::sandbox::Sandbox;
use crate::sync::lock;

/// How often a stream of messages looks what is due.
const STREAM_TICK: Duration = Duration::from_millis(5);

/// Faults.
impl Sandbox {
    /// Makes something go wrong from now on.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.core().faults.add(fault)
    }

    /// Takes one fault back; `false` when it is over already.
    pub fn remove_fault(&self, fault: FaultId) -> bool {
        self.core().faults.remove(fault)
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.core().faults.clear();
    }

    /// The faults that are not over.
    pub fn faults(&self) -> Vec<(FaultId, Fault)> {
        self.core().faults.all()
    }

    /// Closes the connections of an account, or all of them; how many there were.
    ///
    /// TDLib connects again at once.
    pub fn drop_connections(&self, account: Option<u32>) -> usize {
        match account {
            None => self.core().connections.close_all(),
            Some(account) => self.core().connections.close(|key| {
                let principal = self.core().keys.principal(key);
                principal.is_some_and(|key| self.belongs(key, account))
            }),
        }
    }

    /// Closes all connections and the port, so that new ones are refused.
    pub async fn refuse_connections(&self) {
        self.core().connections.admit(false).await;
        self.core().connections.close_all();
    }

    /// Opens the port again after [`Sandbox::refuse_connections`].
    pub async fn admit_connections(&self) {
        self.core().connections.admit(true).await;
    }

    /// Is away for so long, as a data centre that restarts: sessions and what was not acknowledged
    /// are forgotten, keys and accounts are not.
    pub async fn restart(&self, away: Duration) {
        self.refuse_connections().await;
        self.core().sessions.clear();
        tokio::time::sleep(away).await;
        self.admit_connections().await;
    }

    /// Forgets the keys of an account, or all of them: the clients that hold them are told that
    /// they are unknown, and have to log in again. TDLib believes it of no key that is younger than
    /// a minute (see [`Sandbox::shift_clock`]).
    pub fn lose_keys(&self, account: Option<u32>) {
        let core = self.core();
        let lost = core.keys.all().into_iter().filter(|key| {
            account.is_none_or(|account| {
                core.keys.principal(*key).is_some_and(|key| self.belongs(key, account))
            })
        });
        let lost: Vec<KeyId> = lost.collect();
        self.drop_connections(account);
        for key in lost {
            core.forget_key(key);
        }
    }

    /// Moves the sandbox's clock by so many seconds. TDLib follows it forwards, not backwards.
    pub fn shift_clock(&self, seconds: i64) {
        self.core().clock.shift(seconds);
    }

    /// Moves an account to another data centre, 1 to 5: its logins are sent there.
    pub fn set_home(&self, account: u32, data_centre: i32) {
        lock(&self.core().homes).insert(fleet_user(account), data_centre);
    }

    /// Bans an account, or takes that back. Its clients are told and log out; it cannot log in.
    pub fn ban(&self, account: u32, banned: bool) {
        let (core, user) = (self.core(), fleet_user(account));
        if banned {
            lock(&core.banned).insert(user);
            let nudge = enums::Updates::TooLong.to_bytes();
            core.sessions.push(&core.clock, &nudge, |key| self.belongs(key, account));
        } else {
            lock(&core.banned).remove(&user);
        }
    }

    /// Freezes an account, or thaws it: what others would see of it is refused with 420
    /// `FROZEN_METHOD_INVALID`, upon which TDLib asks for its configuration and finds out.
    pub fn freeze(&self, account: u32, frozen: bool) {
        let since = frozen.then(|| self.core().clock.now());
        if let Some(own) = lock(&self.core().world).account_mut(fleet_user(account)) {
            own.frozen_since = since;
        }
    }

    /// Sends an account's clients any update: the bytes of an object of Telegram's type `Updates`,
    /// layer 222; `false` when they are none.
    pub fn push(&self, account: u32, updates: &[u8]) -> bool {
        let known = enums::Updates::from_bytes(updates).is_ok();
        if known {
            let core = self.core();
            core.sessions.push(&core.clock, updates, |key| self.belongs(key, account));
        }
        known
    }

    /// Sends an account so many text messages a second from its first contact, as long as it
    /// lasts; how many they were in the end.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropped, it sends no more.
    pub async fn stream_messages(&self, account: u32, per_second: u32, lasts: Duration) -> u64 {
        let Some(handle) = self.account(&self.phone(account)) else { return 0 };
        let Some(from) = handle.contacts().first().copied() else { return 0 };
        let begun = Instant::now();
        let mut sent = 0;
        while begun.elapsed() < lasts {
            let due = begun.elapsed().as_micros() * u128::from(per_second) / 1_000_000;
            while u128::from(sent) < due {
                sent += 1;
                handle.receive(from, Peer::User(handle.user()), &format!("message {sent}"));
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(STREAM_TICK).await;
        }
        sent
    }

    fn belongs(&self, key: KeyId, account: u32) -> bool {
        match lock(&self.core().world).standing(key) {
            Standing::Member(user) => fleet_number(user) == Some(account),
            Standing::Guest | Standing::Revoked => false,
        }
    }
}

/// What happened.
impl Sandbox {
    /// The recorded calls, oldest first: of one account or all, of one method or all.
    pub fn calls(&self, account: Option<u32>, method: Option<&str>) -> Vec<Call> {
        self.core().record.calls(account, method)
    }

    /// How many calls [`Sandbox::calls`] would give.
    pub fn count_calls(&self, account: Option<u32>, method: Option<&str>) -> usize {
        self.core().record.count(account, method)
    }

    /// Waits until there are `times` such calls.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn wait_for_calls(&self, account: Option<u32>, method: Option<&str>, times: usize) {
        let mut changes = self.core().record.changes();
        while self.count_calls(account, method) < times {
            // The sender lives as long as the sandbox.
            changes.changed().await.ok();
        }
    }

    /// Clients that called a method in a loop; a test should find none.
    pub fn hot_loops(&self) -> Vec<HotLoop> {
        self.core().record.hot_loops()
    }

    /// Accounts whose key two clients had at once, once for each time; a test should find none.
    ///
    /// Such a key is dead: both clients get 406 `AUTH_KEY_DUPLICATED`, then 401, as from Telegram.
    pub fn duplicates(&self) -> Vec<Option<u32>> {
        lock(&self.core().duplicates).clone()
    }

    /// Methods that were called and that the sandbox does not know, with their counts.
    pub fn unknown_methods(&self) -> BTreeMap<&'static str, u64> {
        self.core().record.unknown()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.core().connections.count()
    }
}
