//! Queues and exchanges: declared by the first process that connects, and compared with its settings.

use broker::{CommandRequest, PublishError};
use contracts::{Flow, ShardCount};
use settings::QueueType;

use crate::support::{
    Fixture, PATIENCE, account, count, numbered, numbers, publish, recorder, shard_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_can_publish_before_any_worker_connects() {
    let fixture = Fixture::shared(QueueType::Quorum);
    publish(&fixture, &numbered(1, 0..10)).await;
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    assert_eq!(numbers(&mut inbox, 10).await, (0..10).collect::<Vec<_>>());
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_is_declared_again() {
    let fixture = Fixture::shared(QueueType::Classic);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..1)).await;
    assert_eq!(numbers(&mut inbox, 1).await, [0]);
    let client = fixture.client().await;
    let queue = fixture.names.command_queue(Flow::Hi, shard_of(1), count());
    client.delete_queue(&queue).await;
    // The worker does it: a caller declares only when it connects, and this one connects later.
    client.wait_for_queue(&queue).await;
    publish(&fixture, &numbered(1, 1..2)).await;
    assert_eq!(numbers(&mut inbox, 1).await, [1]);
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_command_without_a_queue_fails() {
    let fixture = Fixture::shared(QueueType::Quorum);
    publish(&fixture, &numbered(1, 0..1)).await;
    let caller = fixture.caller();
    assert!(caller.publish_command(&numbered(1, 1..2)).await[0].is_ok());
    let other = (2..100).find(|id| shard_of(*id) != shard_of(1)).unwrap();
    let client = fixture.client().await;
    let queue = fixture.names.command_queue(Flow::Hi, shard_of(other), count());
    for queue in [queue, fixture.names.unrouted_queue()] {
        client.delete_queue(&queue).await;
    }
    let ping = |id| CommandRequest::new(account(id), "ping");
    let requests = [ping(1), ping(1), ping(other), ping(1), ping(1), ping(other), ping(1)];
    let outcomes = caller.publish_command(&requests).await;
    for (outcome, request) in outcomes.iter().zip(&requests) {
        let expected =
            if request.account == account(1) { None } else { Some(&PublishError::Unroutable) };
        assert_eq!(outcome.as_ref().err(), expected, "{outcomes:?}");
    }
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_shard_count_is_refused() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (_bus, _inbox) = fixture.worker().await;
    let other = fixture.another();
    let (handler, _) = recorder();
    let eight = ShardCount::new(8).unwrap();
    let bus = other.bus(eight, handler);
    tokio::time::timeout(PATIENCE, other.failed.cancelled()).await.expect("a refusal");
    assert!(!*bus.connected().borrow());
    assert!(!fixture.failed.is_cancelled());
    fixture.drain().await;
    other.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_queue_type_is_refused() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (_bus, _inbox) = fixture.worker().await;
    let mut other = fixture.another();
    other.settings.queue_type = QueueType::Classic;
    let (handler, _) = recorder();
    other.bus(count(), handler);
    tokio::time::timeout(PATIENCE, other.failed.cancelled()).await.expect("a refusal");
    fixture.drain().await;
    other.drain().await;
}
