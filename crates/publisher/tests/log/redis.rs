//! What only a log on Redis has: keys, workers beside each other, refusals.

use contracts::Epoch;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, FromRedisValue, cmd};
use publisher::{ClaimError, EventLog, Followed, NotStored, Start};
use test_servers::redis::RedisServer;

use crate::support::{
    Place, SOON, account, all, append_all, check_chain, claim_last, event, id, next, next_n,
    nobody, numbers, owner, read_all, store, until_connected,
};

const LOG: &str = "tdfleet:{1}:log";
const HEAD: &str = "tdfleet:{1}:head";

pub(crate) struct Cli(MultiplexedConnection);

impl Cli {
    pub(crate) async fn to(server: &RedisServer) -> Self {
        let client = Client::open(server.uri()).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    /// Sends the words of `line` as one command.
    pub(crate) async fn ask<T: FromRedisValue>(&mut self, line: &str) -> T {
        let mut words = line.split(' ');
        let mut command = cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut self.0).await.unwrap()
    }

    pub(crate) async fn tell(&mut self, line: &str) {
        self.ask::<()>(line).await;
    }
}

async fn on_redis() -> (Place, EventLog, Cli) {
    let place = Place::on_redis();
    let (log, cli) = (place.open(), Cli::to(place.server.as_ref().unwrap()).await);
    until_connected(&log, true).await;
    (place, log, cli)
}

#[tokio::test]
async fn a_newer_worker_fences_the_older_one() {
    let (place, old, _) = on_redis().await;
    let (new, one, two) = (place.open(), account(1), account(2));
    old.claim(owner(one, 7)).await.unwrap();
    store(&old, one, 7, 0).await.unwrap();
    assert_eq!(claim_last(&new, one, 8).await, Some(id("7-1")));
    let late = store(&old, one, 7, 1).await;
    assert_eq!(late, Err(NotStored::Fenced { current: Epoch(8) }));
    store(&old, two, 7, 0).await.unwrap();
    let current = Epoch(8);
    assert_eq!(old.claim(owner(one, 7)).await.unwrap_err(), ClaimError::Fenced { current });
    let next = store(&new, one, 8, 2).await.unwrap();
    assert_eq!((next.id, next.prev), (id("8-1"), Some(id("7-1"))));
    assert_eq!(numbers(&read_all(&new, one).await), [0, 2]);
}

#[tokio::test]
async fn keys_live_as_long_as_their_account_is_of_interest() {
    let (place, log, mut cli) = on_redis().await;
    let (hour, month) = (place.settings.unknown_expiry_s, place.settings.idle_expiry_s);
    log.append(nobody(account(1), 7), event(account(1), 0), None, None);
    assert!(log.drain(SOON).await);
    for key in [LOG, HEAD] {
        let ttl: u64 = cli.ask(&format!("TTL {key}")).await;
        assert!((hour - 10..=hour).contains(&ttl), "{key} lives {ttl} s");
    }
    store(&log, account(1), 7, 1).await.unwrap();
    log.append(nobody(account(1), 7), event(account(1), 2), None, None);
    assert!(log.drain(SOON).await);
    for key in [LOG, HEAD] {
        let ttl: u64 = cli.ask(&format!("TTL {key}")).await;
        assert!((month - 10..=month).contains(&ttl), "{key} lives {ttl} s");
    }
}

#[tokio::test]
async fn flushed_scripts_are_loaded_again() {
    let (_place, log, mut cli) = on_redis().await;
    store(&log, account(1), 7, 0).await.unwrap();
    cli.tell("SCRIPT FLUSH").await;
    store(&log, account(1), 7, 1).await.unwrap();
    assert_eq!(numbers(&read_all(&log, account(1)).await), [0, 1]);
}

#[tokio::test]
async fn a_refused_account_waits_and_the_others_go_on() {
    let (_place, log, mut cli) = on_redis().await;
    cli.tell(&format!("SET {LOG} wrong")).await;
    let mut refused = append_all(&log, account(1), 7, 0..3);
    for number in 0..3 {
        store(&log, account(2), 7, number).await.unwrap();
    }
    assert!(refused.try_recv().is_err());
    assert!(*log.connected().borrow());
    cli.tell(&format!("DEL {LOG}")).await;
    assert!(all(refused).await.iter().all(Result::is_ok));
    assert_eq!(numbers(&read_all(&log, account(1)).await), [0, 1, 2]);
}

#[tokio::test]
async fn a_full_redis_is_waited_for() {
    let (_place, log, mut cli) = on_redis().await;
    store(&log, account(1), 7, 0).await.unwrap();
    cli.tell("CONFIG SET maxmemory 1").await;
    let waiting = append_all(&log, account(1), 7, 1..10);
    until_connected(&log, false).await;
    cli.tell("CONFIG SET maxmemory 0").await;
    assert!(all(waiting).await.iter().all(Result::is_ok));
    until_connected(&log, true).await;
    let kept = read_all(&log, account(1)).await;
    assert_eq!(numbers(&kept), (0..10).collect::<Vec<_>>());
    check_chain(&kept);
}

#[tokio::test]
async fn a_replica_is_waited_for() {
    let (_place, log, mut cli) = on_redis().await;
    store(&log, account(1), 7, 0).await.unwrap();
    cli.tell("REPLICAOF 127.0.0.1 1").await;
    let waiting = append_all(&log, account(1), 7, 1..10);
    until_connected(&log, false).await;
    cli.tell("REPLICAOF NO ONE").await;
    assert!(all(waiting).await.iter().all(Result::is_ok));
    check_chain(&read_all(&log, account(1)).await);
}

#[tokio::test]
async fn a_lost_tail_is_appended_again_with_the_same_ids() {
    let (_place, log, mut cli) = on_redis().await;
    let before: Vec<_> = all(append_all(&log, account(1), 7, 0..10)).await;
    let before: Vec<_> = before.into_iter().map(Result::unwrap).collect();
    cli.tell(&format!("XDEL {LOG} 7-8 7-9 7-10")).await;
    cli.tell(&format!("XSETID {LOG} 7-10")).await;
    cli.tell(&format!("DEL {HEAD}")).await;
    // A stream keeps its last id even when the entry is gone; a server that lost its tail has not.
    let entries = before[..7].to_vec();
    cli.tell(&format!("DEL {LOG}")).await;
    for event in &entries {
        let json = String::from_utf8(event.json.to_vec()).unwrap();
        cli.tell(&format!("XADD {LOG} {} e {json}", event.id)).await;
    }
    cli.tell("CLIENT KILL TYPE normal SKIPME yes").await;
    let after = store(&log, account(1), 7, 10).await.unwrap();
    assert_eq!((after.id, after.prev), (id("7-11"), Some(id("7-10"))));
    let mut all = before;
    all.push(after);
    assert_eq!(read_all(&log, account(1)).await, all);
    assert_eq!(log.counters().restored, 3);
}

#[tokio::test]
async fn two_workers_under_one_epoch_still_make_one_log() {
    let (place, one_worker, _) = on_redis().await;
    let other_worker = place.open();
    for number in 0..10 {
        let log = if number % 2 == 0 { &one_worker } else { &other_worker };
        store(log, account(1), 7, number).await.unwrap();
    }
    let kept = read_all(&one_worker, account(1)).await;
    check_chain(&kept);
    assert_eq!(numbers(&kept), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_follower_reads_what_was_not_published_from_the_log() {
    let (place, log, mut cli) = on_redis().await;
    let mut follower = log.follow([(account(1), Start::Beginning)]);
    store(&log, account(1), 7, 0).await.unwrap();
    next(&mut follower).await;
    // One more event, of which only the log knows, and then one that is published.
    let mut json = Vec::new();
    event(account(1), 1).encode(id("7-2"), Some(id("7-1")), &mut json);
    let json = String::from_utf8(json).unwrap();
    cli.tell(&format!("XADD {LOG} 7-2 e {json}")).await;
    cli.tell(&format!("HSET {HEAD} last 7-2")).await;
    store(&place.open(), account(1), 7, 2).await.unwrap();
    assert_eq!(numbers(&next_n(&mut follower, 2).await), [1, 2]);
}

#[tokio::test]
async fn a_log_that_began_anew_tells_of_the_gap() {
    let (place, old_owner, mut cli) = on_redis().await;
    let one = account(1);
    let seen = store(&old_owner, one, 7, 0).await.unwrap();
    let mut follower = old_owner.follow([(one, Start::Beginning)]);
    next(&mut follower).await;
    cli.tell("FLUSHALL").await;
    let anew = store(&place.open(), one, 8, 1).await.unwrap();
    assert_eq!(anew.prev, None);
    let gap = Followed::Gap { account: one, after: seen.id, next: anew.id };
    assert_eq!(follower.next().await, Some(gap));
    assert_eq!(next(&mut follower).await, anew);
}

#[tokio::test]
async fn a_flushed_redis_gets_its_events_back_at_the_next_one() {
    let (_place, log, mut cli) = on_redis().await;
    all(append_all(&log, account(1), 7, 0..10)).await;
    cli.tell("FLUSHALL").await;
    let after = store(&log, account(1), 7, 10).await.unwrap();
    assert_eq!(after.id, id("7-11"));
    let kept = read_all(&log, account(1)).await;
    assert_eq!(numbers(&kept), (0..=10).collect::<Vec<_>>());
    check_chain(&kept);
}
