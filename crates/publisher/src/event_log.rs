use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountId, Epoch, EventId, Names};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use log_port::{AccountLog, ClaimResult, LogHead, LogPort, NotStored, OwnerToken};
use runtime::{MacKey, OnFailure, Stage};
use settings::PublisherSettings;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::account_writer::AccountWriter;
use crate::error::{InvalidUri, ReadError};
use crate::follow::{self, Follower, StartPosition};
use crate::memory::{MemoryLogs, MemoryStore};
use crate::reader::LogReader;
use crate::redis::{RedisClient, RedisReader, RedisStore};
use crate::store::LogStore;
use crate::stored::StoredEvent;
use crate::writer::{LogWriter, WriterMetrics, WriterQueue, WriterState, WriterTask};

/// Queue length above which the log counts as far behind: events of all accounts together.
const FAR_BEHIND: usize = 20_000;

/// The event log of all accounts; cheap to clone.
#[derive(Clone)]
pub struct EventLog {
    queue: WriterQueue,
    connected: watch::Receiver<bool>,
    reader: LogReader,
    stage: Stage,
}

/// What the log has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounters {
    /// Events queued and not yet stored.
    pub queued: usize,
    /// Events stored.
    pub stored: u64,
    /// Stored events whose live channel had no receiver.
    pub unheard: u64,
    /// Events appended again because Redis had lost them.
    pub restored: u64,
    /// Entries of pending lists that no owner had written; they were moved to the quarantine.
    pub foreign: u64,
}

impl EventLog {
    /// A log on Redis. Returns at once; it connects, and reconnects, in the background.
    ///
    /// With `key` it signs what it writes beside the events, and takes nothing else for its own;
    /// without one it is only for reading.
    ///
    /// When `stage` stops, queued events are stored if Redis accepts them, and closed if it does
    /// not.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`]: the setting is not a Redis URI.
    pub fn redis(
        stage: &Stage,
        settings: PublisherSettings,
        names: Names,
        key: Option<MacKey>,
    ) -> Result<Self, InvalidUri> {
        let client = RedisClient::new(&settings.uri, settings.timeout())?;
        let reader = RedisReader::new(client.clone(), names.clone())?;
        let max_age = Duration::from_secs(settings.max_age_s);
        let store = RedisStore::new(client, settings, names, key);
        Ok(Self::start(stage, store, max_age, LogReader::Redis(Box::new(reader))))
    }

    /// A log in this process's memory, with the rules and numbering of the one on Redis; lost with
    /// the process. Of `settings`, only the limits on length and age apply.
    pub fn in_process(stage: &Stage, settings: PublisherSettings) -> Self {
        let memory = MemoryLogs::new();
        let max_age = Duration::from_secs(settings.max_age_s);
        let store = MemoryStore::new(Arc::clone(&memory), settings);
        Self::start(stage, store, max_age, LogReader::Memory(memory))
    }

    fn start<S: LogStore>(stage: &Stage, store: S, max_age: Duration, reader: LogReader) -> Self {
        let (sender, jobs) = mpsc::unbounded_channel();
        let (connected_sender, connected) = watch::channel(false);
        let metrics = WriterMetrics::default();
        let accounts = WriterState::new(metrics.clone(), max_age);
        let writer = LogWriter::new(store, jobs, connected_sender, accounts, stage.stopping());
        stage.spawn("event log", OnFailure::Stop, async move {
            writer.run().await;
            Ok(())
        });
        let queue = WriterQueue::new(sender, metrics);
        Self { queue, connected, reader, stage: stage.clone() }
    }

    /// Claims the account for the owner's epoch; returns the right to write its log, and its head.
    /// An owner claims the account before it opens it. From then on nothing of an older epoch is
    /// written. Claiming again under the same epoch changes nothing.
    ///
    /// Waits while Redis is down.
    ///
    /// # Errors
    ///
    /// [`NotStored::Fenced`]: a newer epoch owns it. [`NotStored::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Safe to drop, but the claim is made all the same.
    pub async fn claim(&self, token: OwnerToken) -> Result<(AccountWriter, LogHead), NotStored> {
        let (reply, head) = oneshot::channel();
        let writer = AccountWriter::new(self.queue.clone(), token);
        writer.send(WriterTask::Claim(reply));
        let head = head.await.map_err(|_| NotStored::Closed)??;
        Ok((writer, head))
    }

    /// The log of an account that no worker runs. It is claimed along with its first event; its keys
    /// expire after `publisher.unknown_expiry_s`, unless they live longer already.
    pub fn unserved(&self, account: AccountId, epoch: Epoch) -> AccountWriter {
        let token = OwnerToken { account, epoch, served: false };
        AccountWriter::new(self.queue.clone(), token)
    }

    /// Whether Redis accepts events: `false` while there is no connection, and while Redis refuses
    /// writes (out of memory, read-only). Follows Redis within about a second.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// The counters now.
    pub fn counters(&self) -> LogCounters {
        let metrics = self.queue.metrics();
        LogCounters {
            queued: metrics.queued(),
            stored: metrics.stored(),
            unheard: metrics.unheard(),
            restored: metrics.restored(),
            foreign: metrics.foreign(),
        }
    }

    /// Waits until everything queued so far has its outcome; `false` if that takes longer than
    /// `grace`.
    pub async fn drain(&self, grace: Duration) -> bool {
        timeout(grace, self.queue.flush()).await.is_ok_and(|flushed| flushed.is_ok())
    }

    /// Reads events after `after` (from the oldest kept if `None`), oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; a log that does not exist is empty.
    pub async fn read(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.reader.read(account, after, limit).await
    }

    /// Id of the newest event; `None` for an empty log.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn newest(&self, account: AccountId) -> Result<Option<EventId>, ReadError> {
        self.reader.newest(account).await
    }

    /// Follows the logs of `accounts`, each from its start position: every event once, in the
    /// account's order, until the follower is dropped or the stage stops.
    ///
    /// It subscribes to live events before it reads the log. What is missing between two events, by
    /// `prev`, is read from the log; after a lost connection it subscribes again and reads what was
    /// stored meanwhile. A slow follower uses no more memory: it reads the log instead.
    pub fn follow(
        &self,
        accounts: impl IntoIterator<Item = (AccountId, StartPosition)>,
    ) -> Follower {
        follow::start(&self.stage, self.reader.clone(), accounts)
    }
}

impl LogPort for EventLog {
    fn claim(&self, token: OwnerToken) -> BoxFuture<'_, ClaimResult> {
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
