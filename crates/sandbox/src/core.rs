use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::crypto::{RsaKey, random};
use crate::keys::{KeyId, KeyStore};
use crate::model::World;
use crate::options::Options;
use crate::rpc::{self, Client};
use crate::session::Sessions;
use crate::sync::lock;
use crate::transport::Secret;

/// What all connections of a sandbox share.
pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(crate) rsa: RsaKey,
    pub(crate) secret: Secret,
    pub(crate) keys: KeyStore,
    pub(crate) sessions: Sessions,
    /// What each key's client last said of itself.
    pub(crate) clients: Mutex<HashMap<KeyId, Client>>,
    pub(crate) world: Mutex<World>,
    pub(crate) unknown: Counts,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Core {
    pub(crate) fn new(options: &Options) -> Self {
        let clock = Clock::default();
        let world = World::with_accounts(options.accounts, clock.now());
        Self {
            clock,
            rsa: RsaKey::generate(),
            secret: random(),
            keys: KeyStore::default(),
            sessions: Sessions::default(),
            clients: Mutex::default(),
            world: Mutex::new(world),
            unknown: Counts::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Forgets a key: its client has to make another one and to log in again.
    pub(crate) fn forget_key(&self, key: KeyId) {
        self.keys.remove(key);
        lock(&self.clients).remove(&key);
        lock(&self.world).forget_key(key);
    }
}

/// How often something was asked for, by the name of the method.
#[derive(Default)]
pub(crate) struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl Counts {
    pub(crate) fn count(&self, method: u32) {
        *lock(&self.0).entry(rpc::name(method)).or_default() += 1;
    }

    pub(crate) fn all(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.0).clone()
    }
}
