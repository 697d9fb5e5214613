//! Redis goes away and comes back, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use contracts::AccountId;
use publisher::{EventLog, OnStored, Start, Stored};
use settings::PublisherSettings;
use test_servers::redis::{Persistence, RedisServer};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::redis::Cli;
use crate::support::{
    Place, SOON, account, all, append_all, check_chain, event, next_n, number, numbers, owner,
    read_all, store, until_connected,
};

const ACCOUNTS: i64 = 5;

/// A steady load on a few accounts, a few thousand events a second.
struct Load {
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicUsize>,
    task: JoinHandle<Vec<usize>>,
    outcomes: mpsc::UnboundedReceiver<Stored>,
}

impl Load {
    fn start(log: &EventLog) -> Self {
        let (log, stop, acked) = (log.clone(), Arc::<AtomicBool>::default(), Arc::default());
        let (sender, outcomes) = mpsc::unbounded_channel();
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&acked));
        let feed = async move {
            let mut sent = vec![0; usize::try_from(ACCOUNTS).unwrap()];
            let mut tick = interval(Duration::from_millis(1));
            while !stopped.load(Ordering::Relaxed) {
                tick.tick().await;
                for (index, sent) in sent.iter_mut().enumerate() {
                    let account = account(i64::try_from(index).unwrap() + 1);
                    append(&log, account, *sent, &sender, &counter);
                    *sent += 1;
                }
            }
            sent
        };
        #[expect(clippy::disallowed_methods, reason = "a test's own task, awaited by the test")]
        let task = tokio::spawn(feed);
        Self { stop, acked, task, outcomes }
    }

    /// Waits until this many more events are told to be stored.
    async fn more(&self, events: usize) {
        let target = self.acked.load(Ordering::Relaxed) + events;
        let mut tick = interval(Duration::from_millis(1));
        let wait = async {
            while self.acked.load(Ordering::Relaxed) < target {
                tick.tick().await;
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("events in time");
    }

    /// Ends the load; how many events were sent to each account, and what was told to be stored.
    async fn stop(self) -> (Vec<usize>, Vec<Stored>) {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.task.await.unwrap();
        (sent, all(self.outcomes).await)
    }
}

fn append(
    log: &EventLog,
    account: AccountId,
    number: usize,
    sender: &mpsc::UnboundedSender<Stored>,
    acked: &Arc<AtomicUsize>,
) {
    let (sender, acked) = (sender.clone(), Arc::clone(acked));
    let on_stored: OnStored = Box::new(move |stored| {
        acked.fetch_add(1, Ordering::Relaxed);
        sender.send(stored.unwrap()).unwrap();
    });
    log.append(owner(account, 7), event(account, number), None, Some(on_stored));
}

/// Every event is told once and stands in the log once, in order, with the bytes that were told.
async fn check(log: &EventLog, load: Load) {
    let (sent, told) = load.stop().await;
    assert_eq!(told.len(), sent.iter().sum::<usize>());
    for (index, sent) in sent.into_iter().enumerate() {
        let account = account(i64::try_from(index).unwrap() + 1);
        let kept = read_all(log, account).await;
        check_chain(&kept);
        assert_eq!(numbers(&kept), (0..sent).collect::<Vec<_>>());
        let told: Vec<_> = told.iter().filter(|event| event.account == account).collect();
        assert!(told.into_iter().eq(&kept), "what was told is what is kept");
    }
}

fn no_trimming(mut place: Place) -> Place {
    place.settings.max_events = 1_000_000;
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_neither_lose_nor_double_an_event() {
    let place = no_trimming(Place::on_redis());
    let log = place.open();
    let mut cli = Cli::to(place.server.as_ref().unwrap()).await;
    let load = Load::start(&log);
    for _ in 0..20 {
        load.more(200).await;
        cli.tell("CLIENT KILL TYPE normal SKIPME yes").await;
    }
    load.more(200).await;
    check(&log, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_answers_too_late_gets_nothing_twice() {
    let mut place = no_trimming(Place::on_redis());
    place.settings.timeout_ms = 100;
    let log = place.open();
    let mut cli = Cli::to(place.server()).await;
    let load = Load::start(&log);
    for _ in 0..5 {
        load.more(200).await;
        // What was sent is carried out when the pause ends, long after it was sent again.
        cli.tell("CLIENT PAUSE 400").await;
    }
    load.more(200).await;
    place.settings.timeout_ms = PublisherSettings::default().timeout_ms;
    check(&place.open(), load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_an_append_only_file_loses_nothing() {
    let mut place = no_trimming(Place::keeping());
    let log = place.open();
    let load = Load::start(&log);
    for _ in 0..3 {
        load.more(1000).await;
        place.server().restart();
    }
    load.more(1000).await;
    check(&log, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_data_gets_back_what_is_in_memory() {
    let mut place = no_trimming(Place::on_redis());
    let log = place.open();
    let load = Load::start(&log);
    for _ in 0..3 {
        load.more(1000).await;
        place.server().restart();
    }
    load.more(1000).await;
    assert!(0 < log.counters().restored);
    check(&log, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_gets_each_event_once_across_killed_connections_and_a_restart() {
    let mut place = no_trimming(Place::keeping());
    let log = place.open();
    let mut cli = Cli::to(place.server()).await;
    let mut follower = log.follow((1..=ACCOUNTS).map(|id| (account(id), Start::Beginning)));
    let load = Load::start(&log);
    for _ in 0..5 {
        load.more(500).await;
        cli.tell("CLIENT KILL TYPE pubsub").await;
    }
    place.server().restart();
    load.more(500).await;
    let (sent, told) = load.stop().await;
    let events = next_n(&mut follower, told.len()).await;
    check_chain(&events);
    for (id, sent) in (1..).zip(sent) {
        let of_account = events.iter().filter(|event| event.account == account(id));
        assert!(of_account.map(number).eq(0..sent));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_starts_without_redis_waits_for_it() {
    let mut place = Place::on(RedisServer::new(Persistence::None));
    let log = place.open();
    let mut follower = log.follow([(account(1), Start::Beginning)]);
    let waiting = append_all(&log, account(1), 7, 0..10);
    assert!(!*log.connected().borrow());
    assert!(!log.drain(Duration::from_millis(1)).await);
    log.read(account(1), None, 1).await.unwrap_err();
    place.server().restart();
    until_connected(&log, true).await;
    assert_eq!(all(waiting).await.len(), 10);
    assert_eq!(numbers(&next_n(&mut follower, 10).await), (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_log_notices_that_redis_is_gone() {
    let mut place = Place::on_redis();
    let log = place.open();
    store(&log, account(1), 7, 0).await.unwrap();
    place.server().kill9();
    until_connected(&log, false).await;
    place.server().restart();
    until_connected(&log, true).await;
    assert_eq!(numbers(&read_all(&log, account(1)).await), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stops_without_redis_closes_what_is_queued() {
    let mut place = Place::on_redis();
    let log = place.open();
    store(&log, account(1), 7, 0).await.unwrap();
    place.server().kill9();
    let queued = append_all(&log, account(1), 7, 1..10);
    until_connected(&log, false).await;
    assert!(place.stage.drain(SOON).await);
    assert!(all(queued).await.iter().all(Result::is_err));
    assert_eq!(log.counters().queued, 0);
}
