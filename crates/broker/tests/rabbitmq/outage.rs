//! RabbitMQ away: at start, in between, under load.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use broker::{Bus, PublishError, Publisher};
use settings::QueueType;
use test_servers::rabbitmq::RabbitServer;

use crate::support::{
    Fixture, Journal, PATIENCE, answer, count, number, numbered, shard_of, wait_until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_late_dies_and_comes_back_loses_nothing() {
    let mut server = RabbitServer::new();
    // A single node that is killed soon after a declare loses a quorum queue; classic ones stay.
    let mut fixture = Fixture::new(&server, QueueType::Classic);
    fixture.settings.timeout_ms = 2000;
    let journal = Journal::default();
    let bus = Bus::start(
        &fixture.stage,
        &fixture.settings,
        fixture.names.clone(),
        count(),
        Arc::new(journal.clone()),
    )
    .unwrap();
    bus.subscribe(shard_of(1));
    let publisher = fixture.publisher();
    let refused = publisher.publish_command(&numbered(1, 0..1)).await;
    assert_eq!(refused, [Err(PublishError::Unavailable)]);

    server = restarted(server).await;
    wait_until(&bus, true).await;

    // Killed while it is busy, and started again.
    let fault = async {
        while journal.entries().len() < 300 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        restarted(server).await
    };
    let (confirmed, restarted) = tokio::join!(load(&publisher), fault);
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
    let outcomes = publisher.publish_command(&numbered(1, 9999..10_000)).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let last = async {
        while journal.entries().last().is_none_or(|(n, _)| *n != 9999) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, last).await.expect("a command after the frost");
    alarmed(&server, &fixture).await;
    fixture.drain().await;
}

/// Under a memory alarm nothing can be published; what is there is still taken and acknowledged.
async fn alarmed(server: &RabbitServer, fixture: &Fixture) {
    let other = fixture.another();
    let publisher = other.publisher();
    let waiting = publisher.publish_command(&numbered(2, 0..100)).await;
    assert!(waiting.iter().all(Result::is_ok), "{waiting:?}");
    server.ctl(["set_vm_memory_high_watermark", "absolute", "1MB"]);
    let blocked = publisher.publish_command(&numbered(2, 100..101)).await;
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
    let again =
        async { while publisher.publish_command(&numbered(2, 101..102)).await[0].is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("a confirm after the alarm");
    other.drain().await;
}

/// Starts the node, or kills it and starts it again; it comes back when it answers.
async fn restarted(mut server: RabbitServer) -> RabbitServer {
    let restarted = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    });
    restarted.await.unwrap()
}

/// Publishes numbered commands for some seconds until each is confirmed; how many they are.
async fn load(publisher: &Publisher) -> usize {
    let mut confirmed = 0;
    for batch in 0..60_u64 {
        // As the contract has it: what was not confirmed is published again.
        loop {
            let outgoing = numbered(1, batch * 50..(batch + 1) * 50);
            if publisher.publish_command(&outgoing).await.iter().all(Result::is_ok) {
                break;
            }
        }
        confirmed += 50;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    confirmed
}

/// What comes twice without having been published twice comes marked; order holds otherwise.
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

/// A node that answers nothing is noticed although its connections stay.
async fn frozen(server: &RabbitServer, bus: &Bus) {
    server.pause();
    wait_until(bus, false).await;
    server.resume();
    wait_until(bus, true).await;
}
