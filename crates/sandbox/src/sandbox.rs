use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types::{Deserializable, Serializable, enums};
use tokio::time::Instant;

use crate::account::AccountHandle;
use crate::call_log::{HotLoop, RecordedCall};
use crate::core::SandboxCore;
use crate::faults::{Fault, FaultId};
use crate::keys::KeyId;
use crate::model::{self, KeyStatus, Peer, SentCode, default_number, default_user, digits};
use crate::patch::{PatchError, PatchedLibrary};
use crate::rpc;
use crate::sync::lock;

/// How often a message stream checks for messages that are due.
const STREAM_TICK: Duration = Duration::from_millis(5);

/// Where a sandbox listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SandboxAddresses {
    pub(crate) proxy: SocketAddr,
    pub(crate) socks: Option<SocketAddr>,
    pub(crate) control: Option<SocketAddr>,
}

/// A running data centre and its controls; clones share it. Created by [`crate::start`].
#[derive(Clone)]
pub struct Sandbox {
    core: Arc<SandboxCore>,
    addresses: SandboxAddresses,
    secret: String,
    accounts: u32,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Sandbox {
    pub(crate) fn new(core: Arc<SandboxCore>, addresses: SandboxAddresses, accounts: u32) -> Self {
        let hex: String = core.secret.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { core, addresses, secret: format!("dd{hex}"), accounts }
    }

    /// Address for clients: the `server` and `port` of TDLib's `addProxy`.
    pub fn address(&self) -> SocketAddr {
        self.addresses.proxy
    }

    /// Address of the SOCKS5 listener, if the options ask for one.
    pub fn socks_address(&self) -> Option<SocketAddr> {
        self.addresses.socks
    }

    /// Address of the HTTP control API, if the options ask for it.
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.addresses.control
    }

    /// How many accounts the default fleet has.
    pub fn accounts(&self) -> u32 {
        self.accounts
    }

    /// What a client has to know, in hexadecimal, for `TDLib`'s `proxyTypeMtproto`.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Copies a libtdjson so that it trusts this sandbox, and nothing else; see [`PatchedLibrary`].
    ///
    /// # Errors
    ///
    /// [`PatchError::Unexpected`] when `source` is no library the patch was made for.
    pub fn patch_library(&self, source: &Path) -> Result<PatchedLibrary, PatchError> {
        PatchedLibrary::write(source, &self.core.rsa.public_pem())
    }

    /// The phone number of an account of the default fleet; they are numbered from 1.
    pub fn phone(&self, account: u32) -> String {
        model::default_phone(account)
    }

    /// The login code of an account of the default fleet: the only one that is right.
    pub fn code(&self, account: u32) -> String {
        model::default_code(account)
    }

    pub(crate) fn core(&self) -> &Arc<SandboxCore> {
        &self.core
    }

    /// Closes all connections and waits for them to end.
    pub async fn stop(self) {
        self.core.stop.cancel();
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }

    /// The account with this phone number, however it is written; `None` when there is none (yet).
    pub fn account(&self, phone: &str) -> Option<AccountHandle> {
        let user = lock(&self.core.world).by_phone(phone)?.user;
        Some(AccountHandle::new(Arc::clone(&self.core), user))
    }

    /// The code that is sent to a phone number nobody has an account with; the clients of accounts
    /// that are there have [`Sandbox::code`].
    pub fn code_of_new(&self, phone: &str) -> String {
        rpc::code_of_new(phone)
    }

    /// Lets the code that was last sent to a phone number expire; whether there was one.
    pub fn expire_code(&self, phone: &str) -> bool {
        let mut world = lock(&self.core.world);
        let code = world.codes.get_mut(&digits(phone));
        code.map(SentCode::expire).is_some()
    }

    /// Makes a bot that can be logged in to; its token.
    pub fn add_bot(&self, username: &str) -> String {
        lock(&self.core.world).add_bot(username)
    }

    /// Makes something go wrong from now on.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.core.faults.add(fault)
    }

    /// Takes one fault back; `false` when it is over already.
    pub fn remove_fault(&self, fault: FaultId) -> bool {
        self.core.faults.remove(fault)
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.core.faults.clear();
    }

    /// The faults that are not over.
    pub fn faults(&self) -> Vec<(FaultId, Fault)> {
        self.core.faults.all()
    }

    /// Closes the connections of an account, or all of them; how many there were.
    ///
    /// TDLib connects again at once.
    pub fn drop_connections(&self, account: Option<u32>) -> usize {
        match account {
            None => self.core.connections.close_all(),
            Some(account) => self.core.connections.close(|key| {
                let principal = self.core.keys.principal(key);
                principal.is_some_and(|key| self.belongs(key, account))
            }),
        }
    }

    /// Closes all connections and the port, so that new ones are refused.
    pub async fn refuse_connections(&self) {
        self.core.connections.admit(false).await;
        self.core.connections.close_all();
    }

    /// Opens the port again after [`Sandbox::refuse_connections`].
    pub async fn admit_connections(&self) {
        self.core.connections.admit(true).await;
    }

    /// Is away for so long, as a data centre that restarts: sessions and what was not acknowledged
    /// are forgotten, keys and accounts are not.
    pub async fn restart(&self, away: Duration) {
        self.refuse_connections().await;
        self.core.sessions.clear();
        tokio::time::sleep(away).await;
        self.admit_connections().await;
    }

    /// Forgets the keys of an account, or all of them: the clients that hold them are told that
    /// they are unknown, and have to log in again. TDLib believes it of no key that is younger than
    /// a minute (see [`Sandbox::shift_clock`]).
    pub fn lose_keys(&self, account: Option<u32>) {
        let core = &self.core;
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
        self.core.clock.shift(seconds);
    }

    /// Moves an account to another data centre, 1 to 5: its logins are sent there.
    pub fn set_home(&self, account: u32, data_centre: i32) {
        lock(&self.core.homes).insert(default_user(account), data_centre);
    }

    /// Bans an account, or takes that back. Its clients are told and log out; it cannot log in.
    pub fn ban(&self, account: u32, banned: bool) {
        let (core, user) = (&self.core, default_user(account));
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
        let since = frozen.then(|| self.core.clock.now());
        if let Some(own) = lock(&self.core.world).account_mut(default_user(account)) {
            own.frozen_since = since;
        }
    }

    /// Sends an account's clients any update: the bytes of an object of Telegram's type `Updates`,
    /// layer 222; `false` when they are none.
    pub fn push(&self, account: u32, updates: &[u8]) -> bool {
        let known = enums::Updates::from_bytes(updates).is_ok();
        if known {
            let core = &self.core;
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
        match lock(&self.core.world).key_status(key) {
            KeyStatus::LoggedIn(user) => default_number(user) == Some(account),
            KeyStatus::LoggedOut | KeyStatus::Revoked => false,
        }
    }

    /// The recorded calls, oldest first: of one account or all, of one method or all.
    pub fn calls(&self, account: Option<u32>, method: Option<&str>) -> Vec<RecordedCall> {
        self.core.call_log.calls(account, method)
    }

    /// How many calls [`Sandbox::calls`] would give.
    pub fn count_calls(&self, account: Option<u32>, method: Option<&str>) -> usize {
        self.core.call_log.count(account, method)
    }

    /// Waits until there are `times` such calls.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn wait_for_calls(&self, account: Option<u32>, method: Option<&str>, times: usize) {
        let mut changes = self.core.call_log.changes();
        while self.count_calls(account, method) < times {
            // The sender lives as long as the sandbox.
            changes.changed().await.ok();
        }
    }

    /// Clients that called a method in a loop; a test should find none.
    pub fn hot_loops(&self) -> Vec<HotLoop> {
        self.core.call_log.hot_loops()
    }

    /// Accounts whose key two clients had at once, once for each time; a test should find none.
    ///
    /// Such a key is dead: both clients get 406 `AUTH_KEY_DUPLICATED`, then 401, as from Telegram.
    pub fn duplicates(&self) -> Vec<Option<u32>> {
        lock(&self.core.duplicates).clone()
    }

    /// Methods that were called and that the sandbox does not know, with their counts.
    pub fn unknown_methods(&self) -> BTreeMap<&'static str, u64> {
        self.core.call_log.unknown()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.core.connections.count()
    }
}
