//! A log to test, and what a test does with it.

use std::collections::HashMap;
use std::time::Duration;

use contracts::{AccountId, Body, Epoch, Event, EventId, EventMeta, Names};
use log_port::OwnerToken;
use publisher::{EventLog, Followed, Follower, NotStored, OnStored, Stored};
use runtime::{CancellationToken, Stage};
use settings::PublisherSettings;
use test_servers::redis::{Persistence, RedisServer};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Longest wait for anything.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Where logs are kept for one test.
pub(crate) struct Place {
    pub(crate) stage: Stage,
    pub(crate) settings: PublisherSettings,
    pub(crate) server: Option<RedisServer>,
}

impl Place {
    pub(crate) fn in_memory() -> Self {
        let stage = Stage::new("output", &CancellationToken::new());
        Self { stage, settings: PublisherSettings::default(), server: None }
    }

    pub(crate) fn on_redis() -> Self {
        Self::on(RedisServer::start())
    }

    pub(crate) fn keeping() -> Self {
        Self::on(RedisServer::start_with(Persistence::AppendOnly))
    }

    pub(crate) fn on(server: RedisServer) -> Self {
        let settings =
            PublisherSettings { uri: server.uri().into(), ..PublisherSettings::default() };
        Self { settings, server: Some(server), ..Self::in_memory() }
    }

    /// A log; on Redis each call is another worker, in memory each call is another memory.
    pub(crate) fn open(&self) -> EventLog {
        let settings = self.settings.clone();
        if self.server.is_some() {
            EventLog::redis(&self.stage, settings, Names::default()).unwrap()
        } else {
            EventLog::in_process(&self.stage, settings)
        }
    }

    pub(crate) fn server(&mut self) -> &mut RedisServer {
        self.server.as_mut().unwrap()
    }
}

pub(crate) fn account(id: i64) -> AccountId {
    AccountId::new(id).unwrap()
}

/// The owner of an account that some worker runs.
pub(crate) fn owner(account: AccountId, epoch: u64) -> OwnerToken {
    OwnerToken { account, epoch: Epoch(epoch), served: true }
}

/// Whoever answers for an account that none runs.
pub(crate) fn nobody(account: AccountId, epoch: u64) -> OwnerToken {
    OwnerToken { served: false, ..owner(account, epoch) }
}

pub(crate) fn id(text: &str) -> EventId {
    text.parse().unwrap()
}

/// An event whose body is `number`.
pub(crate) fn event(account: AccountId, number: usize) -> Event {
    Event {
        account,
        kind: "test".into(),
        body: Body::Result(number.to_string().into()),
        meta: EventMeta::at(jiff::Timestamp::UNIX_EPOCH),
    }
}

/// Claims, and tells the last event.
pub(crate) async fn claim_last(log: &EventLog, account: AccountId, epoch: u64) -> Option<EventId> {
    log.claim(owner(account, epoch)).await.unwrap().last
}

/// Appends and waits for the outcome.
pub(crate) async fn store(
    log: &EventLog,
    account: AccountId,
    epoch: u64,
    number: usize,
) -> Result<Stored, NotStored> {
    let (sender, outcome) = oneshot::channel();
    let on_stored: OnStored = Box::new(move |stored| sender.send(stored).unwrap());
    log.append(owner(account, epoch), event(account, number), None, Some(on_stored));
    timeout(SOON, outcome).await.expect("an outcome in time").unwrap()
}

/// Appends events `numbers` at once; the outcomes come in the order they are told.
pub(crate) fn append_all(
    log: &EventLog,
    account: AccountId,
    epoch: u64,
    numbers: impl IntoIterator<Item = usize>,
) -> mpsc::UnboundedReceiver<Result<Stored, NotStored>> {
    let (sender, outcomes) = mpsc::unbounded_channel();
    for number in numbers {
        let sender = sender.clone();
        let on_stored: OnStored = Box::new(move |stored| {
            // The test may have seen enough.
            sender.send(stored).ok();
        });
        log.append(owner(account, epoch), event(account, number), None, Some(on_stored));
    }
    outcomes
}

pub(crate) async fn all<T>(mut outcomes: mpsc::UnboundedReceiver<T>) -> Vec<T> {
    let mut all = Vec::new();
    let gather = async {
        while let Some(outcome) = outcomes.recv().await {
            all.push(outcome);
        }
    };
    timeout(SOON, gather).await.expect("all outcomes in time");
    all
}

/// The next event; panics at a gap.
pub(crate) async fn next(follower: &mut Follower) -> Stored {
    match timeout(SOON, follower.next()).await.expect("an event in time") {
        Some(Followed::Event(event)) => event,
        other => panic!("an event, not {other:?}"),
    }
}

pub(crate) async fn next_n(follower: &mut Follower, n: usize) -> Vec<Stored> {
    let mut events = Vec::new();
    for _ in 0..n {
        events.push(next(follower).await);
    }
    events
}

/// The whole log.
pub(crate) async fn read_all(log: &EventLog, account: AccountId) -> Vec<Stored> {
    log.read(account, None, 1_000_000).await.unwrap()
}

/// What [`event`] was given.
pub(crate) fn number(event: &Stored) -> usize {
    let text = std::str::from_utf8(&event.json).unwrap();
    let (_, rest) = text.split_once(r#""result":"#).unwrap();
    rest.split_once(',').unwrap().0.parse().unwrap()
}

pub(crate) fn numbers(events: &[Stored]) -> Vec<usize> {
    events.iter().map(number).collect()
}

/// No gap and no double: within each account every event names the one before it.
pub(crate) fn check_chain(events: &[Stored]) {
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
