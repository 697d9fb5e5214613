//! The handle.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use contracts::{
    AccountId, Begin, Begun, Claimant, Claimed, CommandId, Event, EventId, Names, Note, Parked,
    Place, Settle,
};
use runtime::{OnFailure, Stage};
use settings::PublisherSettings;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::backend::Backend;
use crate::error::{ClaimError, InvalidUri, NotStored, ReadError};
use crate::follow::{self, Follower, Start};
use crate::memory::{Memory, MemoryStore};
use crate::redis::{RedisReader, RedisStore, Server};
use crate::store::{Asked, Store, Token};
use crate::stored::{OnParked, OnStored, Stored};
use crate::writer::{Append, Beginning, Books, Job, Parking, Tally, Task, Writer};

/// Commands that one call parks.
const PARKED_AT_ONCE: usize = 512;

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
        let (jobs, queue) = mpsc::unbounded_channel();
        let (connected_sender, connected) = watch::channel(false);
        let tally = Tally::default();
        let books = Books::new(tally.clone(), max_age);
        let writer = Writer::new(store, queue, connected_sender, books, stage.stopping());
        stage.spawn("event log", OnFailure::Stop, async move {
            writer.run().await;
            Ok(())
        });
        Self { jobs, connected, tally, backend, stage: stage.clone() }
    }

    /// Claims the account for the claimant's epoch and tells what its head says; an owner does so
    /// before it opens the account. From then on nothing of an older epoch is written. Claiming it
    /// again is the same as once.
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
    pub async fn claim(&self, claimant: Claimant) -> Result<Claimed, ClaimError> {
        let (answer, answered) = oneshot::channel();
        self.queue(claimant, Task::Claim(answer));
        answered.await.map_err(|_| ClaimError::Closed)?
    }

    /// Queues an event; never waits. An account that was not claimed for the epoch is claimed along
    /// with its first event. The keys of an account that no worker runs live
    /// `publisher.unknown_expiry_s` unless they live longer already.
    ///
    /// With a [`Settle`], the command is marked as done, by this event, in the same step as the
    /// event is stored, and leaves its pending list.
    ///
    /// The queue has no bound: whoever makes events looks at [`Self::connected`] and
    /// [`Counters::queued`]. `on_stored` is called once, whatever happens.
    pub fn append(
        &self,
        claimant: Claimant,
        event: Event,
        settle: Option<Settle>,
        on_stored: Option<OnStored>,
    ) {
        self.tally.queue_one();
        self.queue(claimant, Task::Append(Append { event, settle, on_stored }));
    }

    /// Asks the ledger whether a command may be run, or answered unrun; the question is queued by
    /// this call, before the future is awaited. A command to be run counts as handed over once the
    /// answer is [`Begun::Go`], until an answer settles it or [`Self::leave`] takes that back.
    ///
    /// Waits as long as Redis is away. However often the question has to be sent, the hand-over
    /// counts once.
    ///
    /// # Errors
    ///
    /// [`NotStored`]: the command must not be run.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop; the hand-over may be written down none the less.
    pub fn begin(
        &self,
        claimant: Claimant,
        begin: Begin,
    ) -> impl Future<Output = Result<Begun, NotStored>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { begin, token: Token::random() };
        self.queue(claimant, Task::Begin(Beginning { asked, answer }));
        async move { answered.await.unwrap_or(Err(NotStored::Closed)) }
    }

    /// Queues that a hand-over is taken back, of a command that was begun here and is not settled;
    /// of any other it changes nothing.
    pub fn leave(&self, claimant: Claimant, command: CommandId) {
        self.queue(claimant, Task::Leave(command));
    }

    /// Queues that commands are put last into their pending lists, in their order. Those that are
    /// done, and those whose place is not behind all that was ever in the list, are left out: they
    /// are there already, or were.
    ///
    /// `on_parked` is called once, whatever happens.
    pub fn park(&self, claimant: Claimant, mut parked: Vec<Parked>, on_parked: OnParked) {
        while PARKED_AT_ONCE < parked.len() {
            let rest = parked.split_off(PARKED_AT_ONCE);
            let parked = Arc::new(std::mem::replace(&mut parked, rest));
            self.queue(claimant, Task::Park(Parking { parked, on_parked: None }));
        }
        let parking = Parking { parked: Arc::new(parked), on_parked: Some(on_parked) };
        self.queue(claimant, Task::Park(parking));
    }

    /// Queues that a command is taken out of its pending list without an answer of its own; nothing
    /// happens where it is not there.
    pub fn unpark(&self, claimant: Claimant, place: Place) {
        self.queue(claimant, Task::Unpark(place));
    }

    /// Queues that something is written into the account's head.
    pub fn note(&self, claimant: Claimant, note: Note) {
        self.queue(claimant, Task::Note(note));
    }

    fn queue(&self, claimant: Claimant, task: Task) {
        if let Err(mpsc::error::SendError(Job::Task(_, task))) =
            self.jobs.send(Job::Task(claimant, task))
        {
            task.fail(NotStored::Closed, &self.tally);
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
