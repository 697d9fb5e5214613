//! A shard leaves one worker and goes to the next.

use broker::{CommandRequest, Settlement};
use bytes::Bytes;
use futures_util::FutureExt;
use settings::QueueType;

use crate::amqp_client::reason;
use crate::support::{
    Fixture, PATIENCE, account, answer, number, numbered, numbers, publish, shard_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsettled_command_comes_before_newer_ones() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..1)).await;
    let left = inbox.next().await;
    let other = fixture.another();
    let (next, mut other_inbox) = other.worker().await;
    next.subscribe(shard_of(1));
    let mut unsubscribed = std::pin::pin!(bus.unsubscribe(shard_of(1), PATIENCE));
    assert!(unsubscribed.as_mut().now_or_never().is_none());
    publish(&fixture, &numbered(1, 1..3)).await;
    drop(left);
    assert!(!unsubscribed.await, "one is left");
    assert_eq!(numbers(&mut other_inbox, 3).await, [0, 1, 2]);
    fixture.drain().await;
    other.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsubscribing_waits_for_unsettled_commands() {
    let fixture = Fixture::shared(QueueType::Classic);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..2)).await;
    let (first, second) = (inbox.next().await, inbox.next().await);
    let mut left = std::pin::pin!(bus.unsubscribe(shard_of(1), PATIENCE));
    assert!(left.as_mut().now_or_never().is_none());
    answer(second);
    assert!(left.as_mut().now_or_never().is_none());
    answer(first);
    assert!(left.await);
    publish(&fixture, &numbered(1, 2..3)).await;
    bus.subscribe(shard_of(1));
    assert_eq!(numbers(&mut inbox, 1).await, [2]);
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_command_goes_to_the_next_owner_at_once() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..3)).await;
    let other = fixture.another();
    let (next, mut other_inbox) = other.worker().await;
    next.subscribe(shard_of(1));
    let held = [inbox.next().await, inbox.next().await, inbox.next().await];
    let [first, second, third] = held;
    answer(third);
    second.ticket.refuse();
    // The others are still unsettled here, and go to the other worker as well.
    for n in 0..3 {
        let delivery = other_inbox.next().await;
        assert_eq!((number(&delivery.body), delivery.redelivered), (n, true));
        answer(delivery);
    }
    answer(first);
    assert!(inbox.is_empty());
    fixture.drain().await;
    other.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_at_a_time_consumes_a_shard() {
    let one = Fixture::shared(QueueType::Quorum);
    let other = one.another();
    let ((bus, mut inbox), (next, mut other_inbox)) = (one.worker().await, other.worker().await);
    bus.subscribe(shard_of(1));
    publish(&one, &numbered(1, 0..10)).await;
    assert_eq!(numbers(&mut inbox, 10).await.len(), 10);
    next.subscribe(shard_of(1));
    assert!(bus.unsubscribe(shard_of(1), PATIENCE).await);
    publish(&one, &numbered(1, 10..20)).await;
    assert_eq!(numbers(&mut other_inbox, 10).await, (10..20).collect::<Vec<_>>());
    assert!(inbox.is_empty());
    one.drain().await;
    other.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_unsettled_commands() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let other = fixture.another();
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let caller = other.caller();
    let request = CommandRequest::new(account(1), "ping");
    let mut call = std::pin::pin!(caller.call(&request, PATIENCE));
    let delivery = tokio::select! {
        delivery = inbox.next() => delivery,
        answered = &mut call => panic!("answered by nobody: {answered:?}"),
    };
    let names = fixture.names.clone();
    let mut drained = std::pin::pin!(fixture.drain());
    assert!(drained.as_mut().now_or_never().is_none());
    let settlement = Settlement::DeadLetter {
        reason: "stopping".to_owned(),
        event: Some(Bytes::from_static(b"{}")),
    };
    delivery.ticket.settle(settlement);
    drained.await;
    assert_eq!(call.await.as_deref(), Ok(b"{}".as_slice()));
    let client = other.client().await;
    assert_eq!(reason(&client.get(&names.dead_letter_queue()).await.delivery), "stopping");
    other.drain().await;
}
