//! RabbitMQ is down: at start, later, and under load.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use broker::{Bus, CommandClient, PublishError};
use settings::QueueType;
use test_servers::rabbitmq::RabbitServer;

use crate::support::{
    Fixture, Journal, PATIENCE, answer, count, number, numbered, shard_of, wait_until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_late_dies_and_restarts_loses_nothing() {
    let mut server = RabbitServer::new();
    // A single node that is killed soon after a declare loses its quorum queues, but not classic ones.
    let mut fixture = Fixture::new(&server.uri(), QueueType::Classic);
    fixture.settings.timeout_ms = 2000;
    let journal = Journal::default();
    let bus = fixture.bus(count(), Arc::new(journal.clone()));
    bus.subscribe(shard_of(1));
    let caller = fixture.caller();
    let refused = caller.publish_command(&numbered(1, 0..1)).await;
    assert_eq!(refused, [Err(PublishError::Unavailable)]);

    server = restarted(server).await;
    wait_until(&bus, true).await;

    // Killed while it is busy, and restarted.
    let fault = async {
        while journal.entries().len() < 300 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        restarted(server).await
    };
    let (confirmed, restarted) = tokio::join!(load(&caller), fault);
    server = restarted;
    wait_until(&bus, true).await;
    let all = async {
        let count =
            |entries: &[(u64, bool)]| entries.iter().map(|(n, _)| n).collect::<HashSet<_>>().len();
        while count(&journal.entries()) < confirmed {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("every confirmed command");
    assert!(bus.unsubscribe(shard_of(1), PATIENCE).await);
    check(&journal.entries());

    frozen(&server, &bus).await;
    bus.subscribe(shard_of(1));
    let outcomes = caller.publish_command(&numbered(1, 9999..10_000)).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let last = async {
        while journal.entries().last().is_none_or(|(n, _)| *n != 9999) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, last).await.expect("a command after the freeze");
    alarmed(&server, &fixture).await;
    fixture.drain().await;
}

/// During a memory alarm nothing can be published, but deliveries and acknowledgements continue.
async fn alarmed(server: &RabbitServer, fixture: &Fixture) {
    let other = fixture.another();
    let caller = other.caller();
    let waiting = caller.publish_command(&numbered(2, 0..100)).await;
    assert!(waiting.iter().all(Result::is_ok), "{waiting:?}");
    server.ctl(["set_vm_memory_high_watermark", "absolute", "1MB"]);
    let blocked = caller.publish_command(&numbered(2, 100..101)).await;
    assert_eq!(blocked, [Err(PublishError::Unconfirmed)]);

    let (bus, mut inbox) = other.worker().await;
    bus.subscribe(shard_of(2));
    for n in 0..100 {
        let delivery = inbox.next().await;
        assert_eq!(number(&delivery.body), n);
        answer(delivery);
    }
    assert!(bus.unsubscribe(shard_of(2), PATIENCE).await);
    server.ctl(["set_vm_memory_high_watermark", "absolute", "4GB"]);
    let again = async { while caller.publish_command(&numbered(2, 101..102)).await[0].is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("a confirm after the alarm");
    other.drain().await;
}

/// Starts the node, or kills and restarts it; returns when it answers.
async fn restarted(mut server: RabbitServer) -> RabbitServer {
    let restarted = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    });
    restarted.await.unwrap()
}

/// Publishes numbered commands for some seconds until each is confirmed; returns how many.
async fn load(caller: &CommandClient) -> usize {
    let mut confirmed = 0;
    for batch in 0..60_u64 {
        // As the contract asks: what was not confirmed is published again.
        loop {
            let requests = numbered(1, batch * 50..(batch + 1) * 50);
            if caller.publish_command(&requests).await.iter().all(Result::is_ok) {
                break;
            }
        }
        confirmed += 50;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    confirmed
}

/// A command that comes twice without having been published twice is marked; otherwise the order
/// holds.
fn check(entries: &[(u64, bool)]) {
    let mut seen = HashSet::new();
    let mut highest = None;
    for (n, redelivered) in entries {
        let fresh = seen.insert(*n);
        assert!(fresh || *redelivered || highest > Some(*n), "{n} came twice, unmarked");
        if fresh && !redelivered {
            assert!(highest < Some(*n), "{n} came after {highest:?}");
        }
        highest = highest.max(Some(*n));
    }
}

/// A node that does not answer is noticed although its connections stay open.
async fn frozen(server: &RabbitServer, bus: &Bus) {
    server.pause();
    wait_until(bus, false).await;
    server.resume();
    wait_until(bus, true).await;
}
