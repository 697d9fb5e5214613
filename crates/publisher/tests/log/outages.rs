//! Redis goes down and comes back, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use contracts::Epoch;
use log_port::{AccountLog, OnStored};
use publisher::{AccountWriter, EventLog, StartPosition, StoredEvent};
use settings::PublisherSettings;
use test_servers::redis::{Persistence, RedisServer};
use testkit::log_rules::steps::{SOON, account, all, append_all, event};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::redis::Cli;
use crate::support::{
    LogFixture, check_chain, next_n, number, numbers, read_all, read_event, store, until_connected,
    writer,
};

const ACCOUNTS: i64 = 5;

/// A steady load on a few accounts, a few thousand events a second.
struct Load {
    stop: Arc<AtomicBool>,
    stored: Arc<AtomicUsize>,
    task: JoinHandle<Vec<usize>>,
    outcomes: mpsc::UnboundedReceiver<StoredEvent>,
}

impl Load {
    async fn start(log: &EventLog) -> Self {
        let (stop, stored) = (Arc::<AtomicBool>::default(), Arc::default());
        let (sender, outcomes) = mpsc::unbounded_channel();
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&stored));
        let mut writers = Vec::new();
        for id in 1..=ACCOUNTS {
            writers.push(writer(log, account(id), 7).await);
        }
        let feed = async move {
            let mut sent = vec![0; writers.len()];
            let mut tick = interval(Duration::from_millis(1));
            while !stopped.load(Ordering::Relaxed) {
                tick.tick().await;
                for (writer, sent) in writers.iter().zip(&mut sent) {
                    append(writer, *sent, &sender, &counter);
                    *sent += 1;
                }
            }
            sent
        };
        #[expect(clippy::disallowed_methods, reason = "a test's own task, awaited by the test")]
        let task = tokio::spawn(feed);
        Self { stop, stored, task, outcomes }
    }

    /// Waits until this many more events are confirmed.
    async fn more(&self, events: usize) {
        let target = self.stored.load(Ordering::Relaxed) + events;
        let mut tick = interval(Duration::from_millis(1));
        let wait = async {
            while self.stored.load(Ordering::Relaxed) < target {
                tick.tick().await;
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("events in time");
    }

    /// Ends the load; returns how many events were sent to each account, and those confirmed.
    async fn stop(self) -> (Vec<usize>, Vec<StoredEvent>) {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.task.await.unwrap();
        (sent, all(self.outcomes).await)
    }
}

fn append(
    writer: &AccountWriter,
    number: usize,
    sender: &mpsc::UnboundedSender<StoredEvent>,
    counter: &Arc<AtomicUsize>,
) {
    let (sender, counter) = (sender.clone(), Arc::clone(counter));
    let on_stored: OnStored = Box::new(move |stored| {
        counter.fetch_add(1, Ordering::Relaxed);
        sender.send(read_event(stored.unwrap())).unwrap();
    });
    writer.append(event(writer.token().account, number), None, Some(on_stored));
}

/// Every event is confirmed once and is in the log once, in order, with the bytes confirmed.
async fn check(log: &EventLog, load: Load) {
    let (sent, confirmed) = load.stop().await;
    assert_eq!(confirmed.len(), sent.iter().sum::<usize>());
    for (index, sent) in sent.into_iter().enumerate() {
        let account = account(i64::try_from(index).unwrap() + 1);
        let kept = read_all(log, account).await;
        check_chain(&kept);
        assert_eq!(numbers(&kept), (0..sent).collect::<Vec<_>>());
        let confirmed = confirmed.iter().filter(|event| event.account == account);
        assert!(confirmed.eq(&kept), "what is confirmed is what is kept");
    }
}

fn no_trimming(mut fixture: LogFixture) -> LogFixture {
    fixture.settings.max_events = 1_000_000;
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_neither_lose_nor_duplicate_an_event() {
    let mut fixture = no_trimming(LogFixture::on_redis());
    let log = fixture.open();
    let mut cli = Cli::to(fixture.server()).await;
    let load = Load::start(&log).await;
    for _ in 0..20 {
        load.more(200).await;
        cli.send("CLIENT KILL TYPE normal SKIPME yes").await;
    }
    load.more(200).await;
    check(&log, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_answers_too_late_stores_nothing_twice() {
    let mut fixture = no_trimming(LogFixture::on_redis());
    fixture.settings.timeout_ms = 100;
    let log = fixture.open();
    let mut cli = Cli::to(fixture.server()).await;
    let load = Load::start(&log).await;
    for _ in 0..5 {
        load.more(200).await;
        // What was sent is executed when the pause ends, long after it was sent again.
        cli.send("CLIENT PAUSE 400").await;
    }
    load.more(200).await;
    fixture.settings.timeout_ms = PublisherSettings::default().timeout_ms;
    check(&fixture.open(), load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_an_append_only_file_loses_nothing() {
    let mut fixture = no_trimming(LogFixture::on_persistent_redis());
    let log = fixture.open();
    let load = Load::start(&log).await;
    for _ in 0..3 {
        load.more(1000).await;
        fixture.server().restart();
    }
    load.more(1000).await;
    check(&log, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_restarts_without_data_gets_back_what_is_in_memory() {
    let mut fixture = no_trimming(LogFixture::on_redis());
    let log = fixture.open();
    let load = Load::start(&log).await;
    for _ in 0..3 {
        load.more(1000).await;
        fixture.server().restart();
    }
    load.more(1000).await;
    assert!(0 < log.counters().restored);
    check(&log, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_gets_each_event_once_across_killed_connections_and_a_restart() {
    let mut fixture = no_trimming(LogFixture::on_persistent_redis());
    let log = fixture.open();
    let mut cli = Cli::to(fixture.server()).await;
    let mut follower = log.follow((1..=ACCOUNTS).map(|id| (account(id), StartPosition::Beginning)));
    let load = Load::start(&log).await;
    for _ in 0..5 {
        load.more(500).await;
        cli.send("CLIENT KILL TYPE pubsub").await;
    }
    fixture.server().restart();
    load.more(500).await;
    let (sent, confirmed) = load.stop().await;
    let events = next_n(&mut follower, confirmed.len()).await;
    check_chain(&events);
    for (id, sent) in (1..).zip(sent) {
        let of_account = events.iter().filter(|event| event.account == account(id));
        assert!(of_account.map(number).eq(0..sent));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_starts_without_redis_waits_for_it() {
    let mut fixture = LogFixture::on(RedisServer::new(Persistence::None));
    let log = fixture.open();
    let mut follower = log.follow([(account(1), StartPosition::Beginning)]);
    let waiting = append_all(&log.unserved(account(1), Epoch(7)), 0..10);
    let claim = writer(&log, account(2), 7);
    assert!(!*log.connected().borrow());
    assert!(!log.drain(Duration::from_millis(1)).await);
    log.read(account(1), None, 1).await.unwrap_err();
    fixture.server().restart();
    until_connected(&log, true).await;
    assert!(all(waiting).await.iter().all(Result::is_ok));
    store(&claim.await, 0).await.unwrap();
    assert_eq!(numbers(&next_n(&mut follower, 10).await), (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_log_notices_that_redis_is_down() {
    let mut fixture = LogFixture::on_redis();
    let log = fixture.open();
    store(&writer(&log, account(1), 7).await, 0).await.unwrap();
    fixture.server().kill9();
    until_connected(&log, false).await;
    fixture.server().restart();
    until_connected(&log, true).await;
    assert_eq!(numbers(&read_all(&log, account(1)).await), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stops_without_redis_closes_what_is_queued() {
    let mut fixture = LogFixture::on_redis();
    let log = fixture.open();
    let writer = writer(&log, account(1), 7).await;
    store(&writer, 0).await.unwrap();
    fixture.server().kill9();
    let queued = append_all(&writer, 1..10);
    until_connected(&log, false).await;
    assert!(fixture.stage.drain(SOON).await);
    assert!(all(queued).await.iter().all(Result::is_err));
    assert_eq!(log.counters().queued, 0);
}
