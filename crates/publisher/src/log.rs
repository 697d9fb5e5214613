//! The handle.

use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountId, Epoch, Event, EventId, Names};
use runtime::{OnFailure, Stage};
use settings::PublisherSettings;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::backend::Backend;
use crate::error::{ClaimError, InvalidUri, NotStored, ReadError};
use crate::follow::{self, Follower, Start};
use crate::memory::{Memory, MemoryStore};
use crate::redis::{RedisReader, RedisStore, Server};
use crate::store::Store;
use crate::stored::{OnStored, Stored};
use crate::writer::{Append, Claim, Job, Tally, Writer};

/// The event log of all accounts; cheap to clone.
#[derive(Clone)]
pub struct EventLog {
    jobs: mpsc::UnboundedSender<Job>,
    connected: watch::Receiver<bool>,
    tally: Tally,
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
        let store = RedisStore::new(server, settings, names);
        Ok(Self::start(stage, store, Backend::Redis(Box::new(reader))))
    }

    /// A log in this process's memory, with the numbers and rules of the one on Redis; gone with
    /// the process. Of `settings` the limits of length and age count.
    pub fn in_process(stage: &Stage, settings: PublisherSettings) -> Self {
        let memory = Memory::new();
        let store = MemoryStore::new(Arc::clone(&memory), settings);
        Self::start(stage, store, Backend::Memory(memory))
    }

    fn start<S: Store>(stage: &Stage, store: S, backend: Backend) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (connected_sender, connected) = watch::channel(false);
        let tally = Tally::default();
        let writer = Writer::new(store, queue, connected_sender, tally.clone(), stage.stopping());
        stage.spawn("event log", OnFailure::Stop, async move {
            writer.run().await;
            Ok(())
        });
        Self { jobs, connected, tally, backend, stage: stage.clone() }
    }

    /// Claims the account's log for `epoch` and tells its last event; an owner does so before it
    /// opens the account. From then on nothing of an older epoch is stored. Claiming it again is
    /// the same as once.
    ///
    /// Waits as long as Redis is away.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Fenced`]: a newer epoch has it. [`ClaimError::Closed`].
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; the claim is made none the less.
    pub async fn claim(
        &self,
        account: AccountId,
        epoch: Epoch,
    ) -> Result<Option<EventId>, ClaimError> {
        let (answer, answered) = oneshot::channel();
        let claim = Claim { account, epoch, answer };
        self.jobs.send(Job::Claim(claim)).map_err(|_| ClaimError::Closed)?;
        answered.await.map_err(|_| ClaimError::Closed)?
    }

    /// Queues an event; never waits. An account that was not claimed for `epoch` is claimed along
    /// with its first event. With `known` = false, for accounts that no worker runs, its keys live
    /// `publisher.unknown_expiry_s` unless they live longer already.
    ///
    /// The queue has no bound: whoever makes events looks at [`Self::connected`] and
    /// [`Counters::queued`]. `on_stored` is called once, whatever happens.
    pub fn append(&self, event: Event, epoch: Epoch, known: bool, on_stored: Option<OnStored>) {
        let append = Append { event, epoch, known, on_stored };
        self.tally.queue_one();
        if let Err(mpsc::error::SendError(Job::Append(append))) =
            self.jobs.send(Job::Append(append))
        {
            append.finish(Err(NotStored::Closed), &self.tally);
        }
    }

    /// Whether Redis takes events: `false` until the first connection, while there is none, and
    /// while Redis refuses to write (out of memory, read-only). Changes within about a second.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let tally = &self.tally;
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
        let (flush, flushed) = oneshot::channel();
        let sent = self.jobs.send(Job::Flush(flush)).is_ok();
        sent && timeout(grace, flushed).await.is_ok_and(|flushed| flushed.is_ok())
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
