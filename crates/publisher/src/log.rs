//! The handle.

use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountId, Epoch, EventId, Names};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use log_port::{AccountLog, LogHead, LogPort, NotStored, OwnerToken};
use runtime::{OnFailure, Stage};
use settings::PublisherSettings;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::account_writer::{AccountWriter, WriterQueue};
use crate::backend::Backend;
use crate::error::{InvalidUri, ReadError};
use crate::follow::{self, Follower, Start};
use crate::memory::{Memory, MemoryStore};
use crate::redis::{RedisReader, RedisStore, Server};
use crate::store::Store;
use crate::stored::Stored;
use crate::writer::{Books, Tally, Task, Writer};

/// The event log of all accounts; cheap to clone.
#[derive(Clone)]
pub struct EventLog {
    queue: WriterQueue,
    connected: watch::Receiver<bool>,
    backend: Backend,
    stage: Stage,
}

/// What happened since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events queued and not yet stored.
    pub queued: usize,
    /// Events stored.
    pub stored: u64,
    /// Stored events whose live channel had no receiver.
    pub unheard: u64,
    /// Events appended again because Redis had lost them.
    pub restored: u64,
}

impl EventLog {
    /// A log on Redis. Returns at once; the connection is made, and made again, in the background.
    ///
    /// When `stage` stops, what is queued is stored if Redis takes it, and closed if it does not.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`]: the setting is no Redis URI.
    pub fn redis(
        stage: &Stage,
        settings: PublisherSettings,
        names: Names,
    ) -> Result<Self, InvalidUri> {
        let server = Server::new(&settings.uri, settings.timeout())?;
        let reader = RedisReader::new(server.clone(), names.clone())?;
        let max_age = Duration::from_secs(settings.max_age_s);
        let store = RedisStore::new(server, settings, names);
        Ok(Self::start(stage, store, max_age, Backend::Redis(Box::new(reader))))
    }

    /// A log in this process's memory, with the numbers and rules of the one on Redis; gone with
    /// the process. Of `settings` the limits of length and age count.
    pub fn in_process(stage: &Stage, settings: PublisherSettings) -> Self {
        let memory = Memory::new();
        let max_age = Duration::from_secs(settings.max_age_s);
        let store = MemoryStore::new(Arc::clone(&memory), settings);
        Self::start(stage, store, max_age, Backend::Memory(memory))
    }

    fn start<S: Store>(stage: &Stage, store: S, max_age: Duration, backend: Backend) -> Self {
        let (sender, jobs) = mpsc::unbounded_channel();
        let (connected_sender, connected) = watch::channel(false);
        let tally = Tally::default();
        let books = Books::new(tally.clone(), max_age);
        let writer = Writer::new(store, jobs, connected_sender, books, stage.stopping());
        stage.spawn("event log", OnFailure::Stop, async move {
            writer.run().await;
            Ok(())
        });
        let queue = WriterQueue::new(sender, tally);
        Self { queue, connected, backend, stage: stage.clone() }
    }

    /// Claims the account for the owner's epoch and returns the right to write its log, with what
    /// the head holds; an owner does so before it opens the account. From then on nothing of an older
    /// epoch is written. Claiming it twice is the same as once.
    ///
    /// Waits while Redis is down.
    ///
    /// # Errors
    ///
    /// [`NotStored::Fenced`]: a newer epoch has it. [`NotStored::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; the claim is made all the same.
    pub async fn claim(&self, token: OwnerToken) -> Result<(AccountWriter, LogHead), NotStored> {
        let (answer, answered) = oneshot::channel();
        let writer = AccountWriter::new(self.queue.clone(), token);
        writer.queue_task(Task::Claim(answer));
        let head = answered.await.map_err(|_| NotStored::Closed)??;
        Ok((writer, head))
    }

    /// The log of an account that no worker runs. It is claimed along with its first event; its keys
    /// live `publisher.unknown_expiry_s` unless they live longer already.
    pub fn unserved(&self, account: AccountId, epoch: Epoch) -> AccountWriter {
        let token = OwnerToken { account, epoch, served: false };
        AccountWriter::new(self.queue.clone(), token)
    }

    /// Whether Redis takes events: `false` until the first connection, while there is none, and
    /// while Redis refuses to write (out of memory, read-only). Changes within about a second.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let tally = self.queue.tally();
        Counters {
            queued: tally.queued(),
            stored: tally.stored(),
            unheard: tally.unheard(),
            restored: tally.restored(),
        }
    }

    /// Waits until everything queued so far is stored or refused for good; `false` when `grace`
    /// was not enough.
    pub async fn drain(&self, grace: Duration) -> bool {
        timeout(grace, self.queue.flush()).await.is_ok_and(|flushed| flushed.is_ok())
    }

    /// Events after `after` (from the oldest kept if `None`), oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; a log that does not exist is empty.
    pub async fn read(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<Stored>, ReadError> {
        self.backend.read(account, after, limit).await
    }

    /// Id of the newest event; `None` for an empty log.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn newest(&self, account: AccountId) -> Result<Option<EventId>, ReadError> {
        self.backend.newest(account).await
    }

    /// Follows the logs of `accounts`, each from where it is told: every event once, in the order
    /// of its account, for as long as the follower is held and the stage runs.
    ///
    /// Live events are subscribed to before the log is read; what is missing between two events,
    /// by `prev`, is read from the log; after a lost connection it subscribes again and reads what
    /// came in between. A follower that is slow costs no memory: it is given the log instead.
    pub fn follow(&self, accounts: impl IntoIterator<Item = (AccountId, Start)>) -> Follower {
        follow::start(&self.stage, self.backend.clone(), accounts)
    }
}

/// Queue length above which the log counts as far behind: events of all accounts together.
const FAR_BEHIND: usize = 20_000;

impl LogPort for EventLog {
    fn claim(
        &self,
        token: OwnerToken,
    ) -> BoxFuture<'_, Result<(Arc<dyn AccountLog>, LogHead), NotStored>> {
        async move {
            let (writer, head) = self.claim(token).await?;
            Ok((Arc::new(writer) as _, head))
        }
        .boxed()
    }

    fn unserved(&self, account: AccountId, epoch: Epoch) -> Arc<dyn AccountLog> {
        Arc::new(self.unserved(account, epoch))
    }

    fn is_behind(&self) -> bool {
        FAR_BEHIND < self.counters().queued
    }

    fn up(&self) -> watch::Receiver<bool> {
        self.connected()
    }
}
