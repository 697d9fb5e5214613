//! What a worker is delivered, and what it settles.

use std::time::Duration;

use settings::QueueType;

use crate::support::{Fixture, PATIENCE, answer, number, numbered, numbers, publish, shard_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_delivered_in_order_and_acknowledged() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    publish(&fixture, &numbered(1, 0..100)).await;
    bus.subscribe(shard_of(1));
    assert_eq!(numbers(&mut inbox, 100).await, (0..100).collect::<Vec<_>>());
    assert!(bus.unsubscribe(shard_of(1), PATIENCE).await);
    // The queue is empty: the next subscription gets only what is published after that.
    publish(&fixture, &numbered(1, 100..101)).await;
    bus.subscribe(shard_of(1));
    let delivery = inbox.next().await;
    assert_eq!((number(&delivery.body), delivery.redelivered), (100, false));
    assert_eq!(delivery.key.to_string(), Fixture::key(1, "ping"));
    answer(delivery);
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsettled_command_is_redelivered_to_the_next_worker() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..3)).await;
    let kept = [inbox.next().await, inbox.next().await, inbox.next().await];
    assert!(!bus.unsubscribe(shard_of(1), Duration::ZERO).await);
    let other = fixture.another();
    let (next, mut other_inbox) = other.worker().await;
    next.subscribe(shard_of(1));
    for n in 0..3 {
        let delivery = other_inbox.next().await;
        assert_eq!((number(&delivery.body), delivery.redelivered), (n, true));
        answer(delivery);
    }
    // Settling on a channel that has ended does nothing.
    kept.into_iter().for_each(answer);
    fixture.drain().await;
    other.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_with_too_many_dropped_tickets_is_replaced() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..8)).await;
    for _ in 0..8 {
        drop(inbox.next().await);
    }
    // Half the prefetch is stuck: the channel is closed, and all of them are redelivered.
    for n in 0..8 {
        let delivery = inbox.next().await;
        assert_eq!((number(&delivery.body), delivery.redelivered), (n, true));
        answer(delivery);
    }
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slow_command_does_not_block_the_queue() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..100)).await;
    let slow = inbox.next().await;
    assert_eq!(numbers(&mut inbox, 99).await, (1..100).collect::<Vec<_>>());
    answer(slow);
    assert!(bus.unsubscribe(shard_of(1), PATIENCE).await);
    fixture.drain().await;
}
