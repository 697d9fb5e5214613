//! RabbitMQ away: at start, in between, under load.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use broker::{Bus, PublishError};
use servers::rabbitmq::RabbitServer;
use settings::QueueType;

use crate::support::{Fixture, Journal, PATIENCE, count, numbered, shard_of, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_late_dies_and_comes_back_loses_nothing() {
    crate::support::log();
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

    let server = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    });
    let mut server = server.await.unwrap();
    wait_until(&bus, true).await;

    let load = async {
        let mut confirmed = Vec::new();
        for batch in 0..60_u64 {
            let numbers = batch * 50..(batch + 1) * 50;
            // As the contract has it: what was not confirmed is published again.
            loop {
                let outgoing = numbered(1, numbers.clone());
                let outcomes = publisher.publish_command(&outgoing).await;
                if outcomes.iter().all(Result::is_ok) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            confirmed.extend(numbers);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        confirmed
    };
    let fault = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::spawn_blocking(move || {
            server.restart();
            server
        })
        .await
        .unwrap()
    };
    let (confirmed, server) = tokio::join!(load, fault);
    wait_until(&bus, true).await;
    let all = async {
        while journal.entries().iter().map(|(n, _)| n).collect::<HashSet<_>>().len()
            < confirmed.len()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("every confirmed command");
    assert!(bus.unsubscribe(shard_of(1), PATIENCE).await);
    check(&journal.entries());

    frozen(&server, &bus).await;
    fixture.drain().await;
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
