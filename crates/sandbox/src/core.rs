use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call_log::CallLog;
use crate::clock::Clock;
use crate::connection_table::ConnectionTable;
use crate::crypto::{RsaKey, random};
use crate::faults::FaultInjector;
use crate::handshake::PendingExchanges;
use crate::keys::{KeyId, KeyStore};
use crate::model::{SeedError, UserId, World, apply_seed, default_world, read_seed};
use crate::options::SandboxOptions;
use crate::rpc::ClientInfo;
use crate::saved_state::SavedState;
use crate::session::SessionTable;
use crate::sync::lock;
use crate::transport::ProxySecret;

/// The state that all connections of a sandbox share.
pub(crate) struct SandboxCore {
    pub(crate) clock: Clock,
    pub(crate) rsa: RsaKey,
    pub(crate) secret: ProxySecret,
    pub(crate) keys: KeyStore,
    pub(crate) exchanges: PendingExchanges,
    pub(crate) sessions: SessionTable,
    /// What each key's client last sent in `initConnection`.
    pub(crate) clients: Mutex<HashMap<KeyId, ClientInfo>>,
    pub(crate) world: Mutex<World>,
    pub(crate) faults: FaultInjector,
    pub(crate) call_log: CallLog,
    pub(crate) connections: ConnectionTable,
    pub(crate) connections_made: AtomicU64,
    /// Home data centres of accounts that are not in the first one.
    pub(crate) homes: Mutex<HashMap<UserId, i32>>,
    /// Banned users.
    pub(crate) banned: Mutex<HashSet<UserId>>,
    /// Tokens issued by `auth.exportAuthorization`.
    pub(crate) tickets: Mutex<HashMap<Vec<u8>, (KeyId, UserId)>>,
    /// Default accounts whose key two clients used at once.
    pub(crate) duplicates: Mutex<Vec<Option<u32>>>,
    /// Notified when something has changed that is saved for the next run.
    pub(crate) changed: Notify,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Number of earlier runs with the same state.
    runs: u32,
}

impl SandboxCore {
    /// A data centre, with the state of an earlier run if there is one.
    pub(crate) fn new(
        options: &SandboxOptions,
        state: Option<SavedState>,
    ) -> Result<Self, SeedError> {
        let clock = Clock::default();
        let mut world = default_world(options.accounts, clock.now());
        if let Some(path) = &options.seed {
            apply_seed(read_seed(path)?, &mut world, clock.now())?;
        }
        let runs = state.as_ref().map_or(0, |state| state.runs);
        world.mark_as_history(runs);
        let (rsa, secret, keys, homes) = match state {
            None => (RsaKey::generate(), random(), KeyStore::default(), HashMap::new()),
            Some(state) => {
                for (user, session) in state.logins {
                    world.restore_login(UserId(user), session);
                }
                let homes = state.homes.into_iter().map(|(user, home)| (UserId(user), home));
                let keys = KeyStore::restored(&state.keys, &state.bindings);
                (state.rsa, state.secret, keys, homes.collect())
            }
        };
        Ok(Self {
            clock,
            rsa,
            secret,
            keys,
            exchanges: PendingExchanges::default(),
            sessions: SessionTable::default(),
            clients: Mutex::default(),
            world: Mutex::new(world),
            faults: FaultInjector::default(),
            call_log: CallLog::new(options.recorded_calls, options.hot_loop),
            connections: ConnectionTable::default(),
            connections_made: AtomicU64::new(0),
            homes: Mutex::new(homes),
            banned: Mutex::default(),
            tickets: Mutex::default(),
            duplicates: Mutex::default(),
            changed: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            runs,
        })
    }

    /// The state to save for the next run.
    pub(crate) fn state(&self) -> SavedState {
        let (keys, bindings) = self.keys.saved();
        let world = lock(&self.world);
        SavedState {
            runs: self.runs.saturating_add(1),
            rsa: self.rsa.clone(),
            secret: self.secret,
            keys,
            bindings,
            logins: world.logins().map(|(user, session)| (user.0, session.clone())).collect(),
            homes: lock(&self.homes).iter().map(|(user, home)| (user.0, *home)).collect(),
        }
    }

    /// Forgets a key: its client has to create a new one and log in again.
    pub(crate) fn forget_key(&self, key: KeyId) {
        self.keys.remove(key);
        self.changed.notify_one();
        lock(&self.clients).remove(&key);
        lock(&self.world).forget_key(key);
    }
}
