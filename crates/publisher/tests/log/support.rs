//! A log to test, and what a test reads from it. What it writes is in `testkit::log_rules::steps`.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use contracts::{AccountId, EventId, Names};
use log_port::{CommandCompletion, LogPort, NotStored};
use publisher::{AccountWriter, EventLog, FollowedItem, Follower, StoredEvent};
use runtime::{CancellationToken, MacKey, Stage};
use settings::PublisherSettings;
use test_servers::redis::{Persistence, RedisServer};
use testkit::log_rules::steps::{self, SOON, owner};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::redis::Cli;

/// Where the logs of one test are kept.
pub(crate) struct LogFixture {
    pub(crate) stage: Stage,
    pub(crate) settings: PublisherSettings,
    pub(crate) server: Option<RedisServer>,
}

impl LogFixture {
    pub(crate) fn in_memory() -> Self {
        let stage = Stage::new("output", &CancellationToken::new());
        Self { stage, settings: PublisherSettings::default(), server: None }
    }

    pub(crate) fn on_redis() -> Self {
        Self::on(RedisServer::start())
    }

    pub(crate) fn on_persistent_redis() -> Self {
        Self::on(RedisServer::start_with(Persistence::AppendOnly))
    }

    pub(crate) fn on(server: RedisServer) -> Self {
        let settings =
            PublisherSettings { uri: server.uri().into(), ..PublisherSettings::default() };
        Self { settings, server: Some(server), ..Self::in_memory() }
    }

    /// Opens a log: on Redis each call is another worker, in memory each call is another memory.
    pub(crate) fn open(&self) -> EventLog {
        let settings = self.settings.clone();
        if self.server.is_some() {
            EventLog::redis(&self.stage, settings, Names::default(), Some(mac_key())).unwrap()
        } else {
            EventLog::in_process(&self.stage, settings)
        }
    }

    pub(crate) fn server(&mut self) -> &mut RedisServer {
        self.server.as_mut().unwrap()
    }

    /// A log for `testkit::log_rules`.
    pub(crate) fn in_memory_port() -> (Arc<dyn LogPort>, Self) {
        Self::in_memory().into_port()
    }

    /// A log for `testkit::log_rules`.
    pub(crate) fn on_redis_port() -> (Arc<dyn LogPort>, Self) {
        Self::on_redis().into_port()
    }

    fn into_port(self) -> (Arc<dyn LogPort>, Self) {
        (Arc::new(self.open()), self)
    }
}

/// The key of every worker.
fn mac_key() -> MacKey {
    MacKey::derive("0123456789abcdef", "tdfleet log")
}

/// A connected log on a private Redis, and a client of that Redis.
pub(crate) async fn on_redis() -> (LogFixture, EventLog, Cli) {
    let mut fixture = LogFixture::on_redis();
    let (log, cli) = (fixture.open(), Cli::to(fixture.server()).await);
    until_connected(&log, true).await;
    (fixture, log, cli)
}

/// Claims an account under an epoch.
pub(crate) async fn writer(log: &EventLog, account: AccountId, epoch: u64) -> AccountWriter {
    let claim = log.claim(owner(account, epoch));
    timeout(SOON, claim).await.expect("a claim in time").unwrap().0
}

/// Claims an account, and returns the id of its last event.
pub(crate) async fn claim_last(log: &EventLog, account: AccountId, epoch: u64) -> Option<EventId> {
    log.claim(owner(account, epoch)).await.unwrap().1.last
}

/// Appends event `number`, and waits for the outcome.
pub(crate) async fn store(log: &AccountWriter, number: usize) -> Result<StoredEvent, NotStored> {
    steps::store(log, number).await.map(read_event)
}

/// Answers a command by event `number`, and waits for the outcome.
pub(crate) async fn answer(
    log: &AccountWriter,
    number: usize,
    completion: CommandCompletion,
) -> Result<StoredEvent, NotStored> {
    steps::answer(log, number, completion).await.map(read_event)
}

pub(crate) fn read_event(json: Bytes) -> StoredEvent {
    StoredEvent::read(json).unwrap()
}

/// Waits for the outcomes of `steps::append_all`: the events, all of them stored.
pub(crate) async fn all_stored(
    outcomes: mpsc::UnboundedReceiver<Result<Bytes, NotStored>>,
) -> Vec<StoredEvent> {
    let outcomes = steps::all(outcomes).await.into_iter();
    outcomes.map(|outcome| read_event(outcome.unwrap())).collect()
}

/// The next event; panics at a gap.
pub(crate) async fn next(follower: &mut Follower) -> StoredEvent {
    match timeout(SOON, follower.next()).await.expect("an event in time") {
        Some(FollowedItem::Event(event)) => event,
        other => panic!("an event, not {other:?}"),
    }
}

pub(crate) async fn next_n(follower: &mut Follower, n: usize) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    for _ in 0..n {
        events.push(next(follower).await);
    }
    events
}

/// The whole log.
pub(crate) async fn read_all(log: &EventLog, account: AccountId) -> Vec<StoredEvent> {
    log.read(account, None, 1_000_000).await.unwrap()
}

pub(crate) fn number(event: &StoredEvent) -> usize {
    steps::event_number(&event.json)
}

pub(crate) fn numbers(events: &[StoredEvent]) -> Vec<usize> {
    events.iter().map(number).collect()
}

/// Neither a gap nor a duplicate: within each account every event names the one before it.
pub(crate) fn check_chain(events: &[StoredEvent]) {
    let mut last = HashMap::new();
    for event in events {
        if let Some(before) = last.insert(event.account, event.id) {
            assert_eq!(event.prev, Some(before), "before {}", event.id);
        }
    }
}

pub(crate) async fn until_connected(log: &EventLog, connected: bool) {
    let mut watch = log.connected();
    let seen = timeout(SOON, watch.wait_for(|now| *now == connected)).await;
    seen.expect("connected or not in time").unwrap();
}
