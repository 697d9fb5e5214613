use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use contracts::{AccountId, Epoch, Shard, ShardCount};
use futures_util::future::{join_all, try_join_all};
use log_port::{AccountLog, LogPort, NotStored, OwnerToken};
use runtime::{CancellationToken, Clock, OnFailure, Stage};
use settings::{Credentials, ExposeSecret, TelegramSettings};
use tdlib::Tdlib;
use tokio::sync::Semaphore;

use crate::account::{Account, Handle, Takeover};
use crate::copies::Copies;
use crate::ledger::Fingerprinter;
use crate::ports::{Ports, Replies};
use crate::updates::DroppedUpdates;

/// What the worker is made for.
#[derive(Clone, Debug)]
pub struct Config {
    /// The store.
    pub data_dir: PathBuf,
    /// Every account of the installation.
    pub accounts: BTreeSet<AccountId>,
    /// Number of shards.
    pub shard_count: ShardCount,
    /// How the accounts present themselves.
    pub telegram: TelegramSettings,
    /// The application's id and hash, and the databases' master key.
    pub credentials: Credentials,
    /// Longest wait for one answer of TDLib; longer than the minute that TDLib waits in silence.
    pub timeout: Duration,
    /// Accounts that are opened at the same time, and that are closed at the same time.
    pub opening: usize,
    /// Bytes of events that an account keeps on disk while the log is away.
    pub spool: u64,
    /// TDLib methods that `call_tdlib` may call.
    pub call_tdlib_methods: BTreeSet<String>,
}

/// What all accounts of a process share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) tdlib: Tdlib,
    pub(crate) log: Arc<dyn LogPort>,
    pub(crate) replies: Arc<dyn Replies>,
    pub(crate) clock: Clock,
    pub(crate) fingerprinter: Fingerprinter,
    /// Places of those that are opened at the same time; an account that is opened alone has all.
    pub(crate) opening: Arc<Semaphore>,
    /// Places of those that are closed at the same time.
    pub(crate) closing: Arc<Semaphore>,
    pub(crate) dropped: DroppedUpdates,
}

/// The shards this process owns, and their accounts.
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stage: Stage,
    shards: RwLock<HashMap<Shard, Owned>>,
}

/// One owned shard.
pub(crate) struct Owned {
    pub(crate) epoch: Epoch,
    pub(crate) accounts: BTreeMap<AccountId, Handle>,
    /// Commands of accounts that no worker runs, on their way to being refused.
    pub(crate) strangers: Arc<Copies>,
    /// Cancelled with the shard.
    pub(crate) given_up: CancellationToken,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.given_up.cancel();
    }
}

impl Owned {
    /// The log of an account of this shard.
    pub(crate) fn log(&self, account: AccountId, shared: &Shared) -> Arc<dyn AccountLog> {
        match self.accounts.get(&account) {
            Some(handle) => Arc::clone(&handle.log),
            None => shared.log.unserved(account, self.epoch),
        }
    }
}

impl Worker {
    /// A worker that owns nothing yet; its accounts run in `stage`.
    pub fn new(stage: Stage, config: Config, tdlib: Tdlib, ports: Ports, clock: Clock) -> Self {
        let [opening, closing] =
            std::array::from_fn(|_| Arc::new(Semaphore::new(config.opening.max(1))));
        let dropped = DroppedUpdates::default();
        let Ports { log, replies } = ports;
        let fingerprinter = Fingerprinter::new(config.credentials.master_key.expose_secret());
        let shared = Arc::new(Shared {
            config,
            tdlib,
            log,
            replies,
            clock,
            fingerprinter,
            opening,
            closing,
            dropped,
        });
        Self { shared, stage, shards: RwLock::default() }
    }

    /// Takes a shard over under `epoch`: claims its accounts' logs, waiting while the log is away,
    /// and begins to open them. From then on its requests are taken. `clean` says whether the owner
    /// before gave the shard up in good order; if not, each account's first event is `resync`. A
    /// shard that is open already is closed first, at once.
    ///
    /// # Errors
    ///
    /// A newer owner has claimed one of the accounts, or the log is shut down: nothing is opened.
    pub async fn open_shard(
        &self,
        shard: Shard,
        epoch: Epoch,
        clean: bool,
    ) -> Result<(), NotStored> {
        self.close_shard(shard, Duration::ZERO).await;
        let count = self.shared.config.shard_count;
        let ours = self.shared.config.accounts.iter().copied();
        let ours = ours.filter(|account| count.shard_of(*account) == shard);
        let claims = ours.map(|account| {
            let owner = OwnerToken { account, epoch, served: true };
            async move { Ok((account, self.shared.log.claim(owner).await?)) }
        });
        let claims = try_join_all(claims).await?;
        let claims = claims.into_iter().map(|(account, (log, claimed))| {
            let takeover = Takeover { log, claimed, clean };
            let (task, handle) = Account::new(takeover, Arc::clone(&self.shared));
            self.stage.spawn("account", OnFailure::Log, task.run());
            (account, handle)
        });
        let accounts = claims.collect();
        let strangers = Copies::new(Arc::clone(&self.shared.replies));
        let given_up = CancellationToken::new();
        let owned = Owned { epoch, accounts, strangers, given_up };
        self.shards.write().unwrap_or_else(PoisonError::into_inner).insert(shard, owned);
        Ok(())
    }

    /// Closes a shard's accounts: what has begun is finished within `grace`, what waits is left to
    /// redelivery, and TDLib has closed every database when this returns.
    ///
    /// The shard's requests are dropped undone from now on. TDLib closes as many accounts at a time
    /// as are opened at a time, those of a shard about in the order of their ids; with a `grace` of
    /// zero, as when the shard's time is over, all at once. Closing again may shorten the grace.
    pub async fn close_shard(&self, shard: Shard, grace: Duration) {
        let closed: Vec<_> = {
            let shards = self.shards.read().unwrap_or_else(PoisonError::into_inner);
            let handles = shards.get(&shard).map(|owned| owned.accounts.values());
            handles.into_iter().flatten().map(|handle| handle.close(grace)).collect()
        };
        join_all(closed).await;
        self.shards.write().unwrap_or_else(PoisonError::into_inner).remove(&shard);
    }

    /// Runs `with` on an owned shard; `None` when it is not this worker's.
    pub(crate) fn with_shard<T>(&self, shard: Shard, with: impl FnOnce(&Owned) -> T) -> Option<T> {
        let shards = self.shards.read().unwrap_or_else(PoisonError::into_inner);
        shards.get(&shard).map(with)
    }
}
