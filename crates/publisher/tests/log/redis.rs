//! What only a log on Redis has: keys, several workers, refusals.

use std::time::Duration;

use contracts::Epoch;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, Cmd, FromRedisValue, cmd};
use log_port::{AccountLog, NotStored};
use publisher::{FollowedItem, StartPosition};
use test_servers::redis::RedisServer;
use testkit::log_rules::steps::{SOON, account, all, append_all, event, id, owner};
use tokio::time::timeout;

use crate::support::{
    all_stored, check_chain, claim_last, next, next_n, numbers, on_redis, read_all, store,
    until_connected, writer,
};

pub(crate) const LOG: &str = "tdfleet:{1}:log";
pub(crate) const HEAD: &str = "tdfleet:{1}:head";

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

    /// Sends words that are no text.
    pub(crate) async fn send_bytes(&mut self, words: &[&[u8]]) {
        let mut command = Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.exec_async(&mut self.0).await.unwrap();
    }

    pub(crate) async fn send(&mut self, line: &str) {
        self.ask::<()>(line).await;
    }
}

#[tokio::test]
async fn a_newer_worker_fences_the_older_one() {
    let (fixture, old, _) = on_redis().await;
    let (new, one, two) = (fixture.open(), account(1), account(2));
    let fenced = NotStored::Fenced { current: Epoch(8) };
    let old_writer = writer(&old, one, 7).await;
    store(&old_writer, 0).await.unwrap();
    assert_eq!(claim_last(&new, one, 8).await, Some(id("7-1")));
    assert_eq!(store(&old_writer, 1).await, Err(fenced));
    store(&writer(&old, two, 7).await, 0).await.unwrap();
    assert_eq!(old.claim(owner(one, 7)).await.err(), Some(fenced));
    let next = store(&writer(&new, one, 8).await, 2).await.unwrap();
    assert_eq!((next.id, next.prev), (id("8-1"), Some(id("7-1"))));
    assert_eq!(numbers(&read_all(&new, one).await), [0, 2]);
}

#[tokio::test]
async fn keys_of_an_account_without_a_worker_expire_soon() {
    let (fixture, log, mut cli) = on_redis().await;
    let (hour, month) = (fixture.settings.unknown_expiry_s, fixture.settings.idle_expiry_s);
    let unserved = log.unserved(account(1), Epoch(7));
    unserved.append(event(account(1), 0), None, None);
    assert!(log.drain(SOON).await);
    for key in [LOG, HEAD] {
        let ttl: u64 = cli.ask(&format!("TTL {key}")).await;
        assert!((hour - 10..=hour).contains(&ttl), "{key} lives {ttl} s");
    }
    store(&writer(&log, account(1), 7).await, 1).await.unwrap();
    unserved.append(event(account(1), 2), None, None);
    assert!(log.drain(SOON).await);
    for key in [LOG, HEAD] {
        let ttl: u64 = cli.ask(&format!("TTL {key}")).await;
        assert!((month - 10..=month).contains(&ttl), "{key} lives {ttl} s");
    }
}

#[tokio::test]
async fn flushed_scripts_are_loaded_again() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    store(&writer, 0).await.unwrap();
    cli.send("SCRIPT FLUSH").await;
    store(&writer, 1).await.unwrap();
    assert_eq!(numbers(&read_all(&log, account(1)).await), [0, 1]);
}

#[tokio::test]
async fn a_refused_account_waits_and_the_others_go_on() {
    let (_fixture, log, mut cli) = on_redis().await;
    let (first, second) = (writer(&log, account(1), 7).await, writer(&log, account(2), 7).await);
    cli.send(&format!("SET {LOG} wrong")).await;
    let mut refused = append_all(&first, 0..3);
    for number in 0..3 {
        store(&second, number).await.unwrap();
    }
    assert!(refused.try_recv().is_err());
    assert!(*log.connected().borrow());
    cli.send(&format!("DEL {LOG}")).await;
    assert!(all(refused).await.iter().all(Result::is_ok));
    assert_eq!(numbers(&read_all(&log, account(1)).await), [0, 1, 2]);
}

#[tokio::test]
async fn a_refused_claim_waits() {
    let (_fixture, log, mut cli) = on_redis().await;
    cli.send(&format!("SET {LOG} wrong")).await;
    let mut claim = Box::pin(writer(&log, account(1), 7));
    assert!(timeout(Duration::from_millis(200), &mut claim).await.is_err());
    cli.send(&format!("DEL {LOG}")).await;
    store(&claim.await, 0).await.unwrap();
    assert_eq!(numbers(&read_all(&log, account(1)).await), [0]);
}

#[tokio::test]
async fn the_log_waits_while_redis_is_full() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    store(&writer, 0).await.unwrap();
    cli.send("CONFIG SET maxmemory 1").await;
    let waiting = append_all(&writer, 1..10);
    until_connected(&log, false).await;
    cli.send("CONFIG SET maxmemory 0").await;
    assert!(all(waiting).await.iter().all(Result::is_ok));
    until_connected(&log, true).await;
    let kept = read_all(&log, account(1)).await;
    assert_eq!(numbers(&kept), (0..10).collect::<Vec<_>>());
    check_chain(&kept);
}

#[tokio::test]
async fn the_log_waits_while_redis_is_a_replica() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    store(&writer, 0).await.unwrap();
    cli.send("REPLICAOF 127.0.0.1 1").await;
    let waiting = append_all(&writer, 1..10);
    until_connected(&log, false).await;
    cli.send("REPLICAOF NO ONE").await;
    assert!(all(waiting).await.iter().all(Result::is_ok));
    check_chain(&read_all(&log, account(1)).await);
}

#[tokio::test]
async fn a_lost_end_is_appended_again_with_the_same_ids() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    let before = all_stored(append_all(&writer, 0..10)).await;
    cli.send(&format!("XDEL {LOG} 7-8 7-9 7-10")).await;
    cli.send(&format!("XSETID {LOG} 7-10")).await;
    cli.send(&format!("DEL {HEAD}")).await;
    // A stream keeps its last id even when the entry is deleted; a server that lost the end does not.
    let entries = before[..7].to_vec();
    cli.send(&format!("DEL {LOG}")).await;
    for event in &entries {
        let json = String::from_utf8(event.json.to_vec()).unwrap();
        cli.send(&format!("XADD {LOG} {} e {json}", event.id)).await;
    }
    cli.send("CLIENT KILL TYPE normal SKIPME yes").await;
    let after = store(&writer, 10).await.unwrap();
    assert_eq!((after.id, after.prev), (id("7-11"), Some(id("7-10"))));
    let mut all = before;
    all.push(after);
    assert_eq!(read_all(&log, account(1)).await, all);
    assert_eq!(log.counters().restored, 3);
}

#[tokio::test]
async fn two_workers_under_one_epoch_still_make_one_log() {
    let (fixture, log, _) = on_redis().await;
    let writers = [writer(&log, account(1), 7).await, writer(&fixture.open(), account(1), 7).await];
    for number in 0..10 {
        store(&writers[number % 2], number).await.unwrap();
    }
    let kept = read_all(&log, account(1)).await;
    check_chain(&kept);
    assert_eq!(numbers(&kept), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_follower_reads_unpublished_events_from_the_log() {
    let (fixture, log, mut cli) = on_redis().await;
    let mut follower = log.follow([(account(1), StartPosition::Beginning)]);
    store(&writer(&log, account(1), 7).await, 0).await.unwrap();
    next(&mut follower).await;
    // One more event that is only in the log, and then one that is published.
    let mut json = Vec::new();
    event(account(1), 1).encode(id("7-2"), Some(id("7-1")), &mut json);
    let json = String::from_utf8(json).unwrap();
    cli.send(&format!("XADD {LOG} 7-2 e {json}")).await;
    cli.send(&format!("HSET {HEAD} last 7-2")).await;
    store(&writer(&fixture.open(), account(1), 7).await, 2).await.unwrap();
    assert_eq!(numbers(&next_n(&mut follower, 2).await), [1, 2]);
}

#[tokio::test]
async fn a_follower_gets_the_gap_when_the_log_restarts_from_nothing() {
    let (fixture, log, mut cli) = on_redis().await;
    let one = account(1);
    let seen = store(&writer(&log, one, 7).await, 0).await.unwrap();
    let mut follower = log.follow([(one, StartPosition::Beginning)]);
    next(&mut follower).await;
    cli.send("FLUSHALL").await;
    let first = store(&writer(&fixture.open(), one, 8).await, 1).await.unwrap();
    assert_eq!(first.prev, None);
    let gap = FollowedItem::Gap { account: one, after: seen.id, next: first.id };
    assert_eq!(follower.next().await, Some(gap));
    assert_eq!(next(&mut follower).await, first);
}

#[tokio::test]
async fn a_flushed_redis_gets_its_events_back_at_the_next_one() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    all(append_all(&writer, 0..10)).await;
    cli.send("FLUSHALL").await;
    let after = store(&writer, 10).await.unwrap();
    assert_eq!(after.id, id("7-11"));
    let kept = read_all(&log, account(1)).await;
    assert_eq!(numbers(&kept), (0..=10).collect::<Vec<_>>());
    check_chain(&kept);
}
