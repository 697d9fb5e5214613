use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use grammers_tl_types::{Deserializable, Serializable, enums};

use crate::account::AccountHandle;
use crate::call_log::{HotLoop, RecordedCall};
use crate::core::SandboxCore;
use crate::faults::{Fault, FaultId};
use crate::keys::KeyId;
use crate::model::{self, KeyStatus, SentCode, default_number, default_user, digits};
use crate::patch::{PatchError, PatchedLibrary};
use crate::rpc;
use crate::sync::lock;

/// Where a sandbox listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SandboxAddresses {
    pub(crate) proxy: SocketAddr,
    pub(crate) socks: Option<SocketAddr>,
    pub(crate) control: Option<SocketAddr>,
}

/// A running data centre and its controls; clones share it. Created by [`crate::start()`].
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
        let secret = format!("dd{:032x}", u128::from_be_bytes(core.secret));
        Self { core, addresses, secret, accounts }
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

    /// The number of default accounts.
    pub(crate) fn accounts(&self) -> u32 {
        self.accounts
    }

    /// The proxy secret for TDLib's `proxyTypeMtproto`, in hexadecimal.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Copies a libtdjson so that it trusts only this sandbox; see [`PatchedLibrary`].
    ///
    /// # Errors
    ///
    /// [`PatchError::Unexpected`] when `source` is not a supported library.
    pub fn patch_library(&self, source: &Path) -> Result<PatchedLibrary, PatchError> {
        PatchedLibrary::write(source, &self.core.rsa.public_pem())
    }

    /// The phone number of a default account; they are numbered from 1.
    pub fn phone(&self, account: u32) -> String {
        model::default_phone(account)
    }

    /// The login code of a default account.
    pub fn code(&self, account: u32) -> String {
        model::default_code(account)
    }

    pub(crate) fn core(&self) -> &Arc<SandboxCore> {
        &self.core
    }

    /// Closes all connections and waits until all tasks have ended.
    pub async fn stop(self) {
        self.core.stop.cancel();
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }

    /// The account with this phone number, in any notation; `None` when there is none (yet).
    pub fn account(&self, phone: &str) -> Option<AccountHandle> {
        let user = lock(&self.core.world).by_phone(phone)?.user;
        Some(AccountHandle::new(Arc::clone(&self.core), user))
    }

    /// The login code for a phone number without an account; for the default accounts see
    /// [`Sandbox::code`].
    pub fn code_of_new(&self, phone: &str) -> String {
        rpc::code_of_new(phone)
    }

    /// Expires the code that was last sent to a phone number; `false` when there was none.
    pub fn expire_code(&self, phone: &str) -> bool {
        let mut world = lock(&self.core.world);
        let code = world.codes.get_mut(&digits(phone));
        code.map(SentCode::expire).is_some()
    }

    /// Creates a bot and returns its token.
    pub fn add_bot(&self, username: &str) -> String {
        lock(&self.core.world).add_bot(username)
    }

    /// Injects a fault.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.core.faults.add(fault)
    }

    /// Removes a fault; `false` when it has already ended.
    pub fn remove_fault(&self, fault: FaultId) -> bool {
        self.core.faults.remove(fault)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.core.faults.clear();
    }

    /// The active faults.
    pub fn faults(&self) -> Vec<(FaultId, Fault)> {
        self.core.faults.all()
    }

    /// Closes the connections of an account, or all of them, and returns their number.
    ///
    /// TDLib reconnects immediately.
    pub fn drop_connections(&self, account: Option<u32>) -> usize {
        match account {
            None => self.core.connections.close_all(),
            Some(account) => self.core.connections.close(|key| self.owns(account, key)),
        }
    }

    /// Closes all connections and the port, so that new ones are refused.
    pub async fn refuse_connections(&self) {
        self.core.connections.admit(false).await;
        self.core.connections.close_all();
    }

    /// Reopens the port after [`Sandbox::refuse_connections`].
    pub async fn admit_connections(&self) {
        self.core.connections.admit(true).await;
    }

    /// Simulates a restart of the data centre that takes `away`: sessions and unacknowledged
    /// messages are lost, keys and accounts are kept.
    pub async fn restart(&self, away: Duration) {
        self.refuse_connections().await;
        self.core.sessions.clear();
        tokio::time::sleep(away).await;
        self.admit_connections().await;
    }

    /// Forgets the keys of an account, or all of them: their clients get "unknown key" and have to
    /// log in again. TDLib does not believe this for keys younger than a minute (see
    /// [`Sandbox::shift_clock`]).
    pub fn lose_keys(&self, account: Option<u32>) {
        let core = &self.core;
        let owned = |key: &KeyId| account.is_none_or(|account| self.owns(account, *key));
        let lost: Vec<KeyId> = core.keys.all().into_iter().filter(owned).collect();
        self.drop_connections(account);
        for key in lost {
            core.forget_key(key);
        }
    }

    /// Shifts the sandbox's clock by `seconds`. TDLib follows it forwards, not backwards.
    pub fn shift_clock(&self, seconds: i64) {
        self.core.clock.shift(seconds);
    }

    /// Moves an account to another data centre, 1 to 5: its logins are redirected there.
    pub fn set_home(&self, account: u32, data_centre: i32) {
        lock(&self.core.homes).insert(default_user(account), data_centre);
    }

    /// Bans an account, or lifts the ban. Its clients are logged out, and it cannot log in.
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

    /// Freezes an account, or unfreezes it: methods whose effect others would see are refused with
    /// 420 `FROZEN_METHOD_INVALID`. TDLib then fetches its app configuration, which says so.
    pub fn freeze(&self, account: u32, frozen: bool) {
        let since = frozen.then(|| self.core.clock.now());
        if let Some(own) = lock(&self.core.world).account_mut(default_user(account)) {
            own.frozen_since = since;
        }
    }

    /// Pushes updates to an account's clients: the bytes of an `Updates` object, layer 222; `false`
    /// when they are not one.
    pub fn push(&self, account: u32, updates: &[u8]) -> bool {
        let known = enums::Updates::from_bytes(updates).is_ok();
        if known {
            let core = &self.core;
            core.sessions.push(&core.clock, updates, |key| self.belongs(key, account));
        }
        known
    }

    /// Sends an account `per_second` text messages from its first contact for the time `lasts`;
    /// returns their number.
    ///
    /// # Cancel safety
    ///
    /// Safe: when dropped, it stops sending.
    pub async fn stream_messages(&self, account: u32, per_second: u32, lasts: Duration) -> u64 {
        match self.account(&self.phone(account)) {
            Some(handle) => handle.receive_stream(per_second, lasts).await,
            None => 0,
        }
    }

    /// Whether `key` leads to this default account, bound or not.
    fn owns(&self, account: u32, key: KeyId) -> bool {
        self.core.keys.principal(key).is_some_and(|key| self.belongs(key, account))
    }

    fn belongs(&self, key: KeyId, account: u32) -> bool {
        let status = lock(&self.core.world).key_status(key);
        matches!(status, KeyStatus::LoggedIn(user) if default_number(user) == Some(account))
    }

    /// The recorded calls, oldest first: of one account or all, of one method or all.
    pub fn calls(&self, account: Option<u32>, method: Option<&str>) -> Vec<RecordedCall> {
        self.core.call_log.calls(account, method)
    }

    /// The number of calls that [`Sandbox::calls`] would return.
    pub fn count_calls(&self, account: Option<u32>, method: Option<&str>) -> usize {
        self.core.call_log.count(account, method)
    }

    /// Waits until at least `times` such calls are recorded.
    ///
    /// Cancel-safe.
    pub async fn wait_for_calls(&self, account: Option<u32>, method: Option<&str>, times: usize) {
        let mut changes = self.core.call_log.changes();
        while self.count_calls(account, method) < times {
            // The sender lives as long as the sandbox.
            changes.changed().await.ok();
        }
    }

    /// Methods that a client called in a loop; a test should find none.
    pub fn hot_loops(&self) -> Vec<HotLoop> {
        self.core.call_log.hot_loops()
    }

    /// Accounts whose key two clients used at once, one entry per incident; a test should find
    /// none.
    ///
    /// Such a key is revoked: both clients get 406 `AUTH_KEY_DUPLICATED`, then 401, as from
    /// Telegram.
    pub fn duplicates(&self) -> Vec<Option<u32>> {
        lock(&self.core.duplicates).clone()
    }

    /// Unknown methods that were called, with their counts.
    pub fn unknown_methods(&self) -> BTreeMap<&'static str, u64> {
        self.core.call_log.unknown()
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.core.connections.count()
    }
}
