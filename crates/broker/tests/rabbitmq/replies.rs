//! Answers to the caller.

use std::time::Duration;

use broker::{CommandRequest, Delivery, PublishError, Settlement};
use bytes::Bytes;
use contracts::{CommandId, Properties};
use lapin::BasicProperties;
use settings::QueueType;

use crate::support::{Fixture, PATIENCE, account, answer, numbered, numbers, publish, shard_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_command_is_answered_later() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let caller = fixture.caller();
    let request = CommandRequest::new(account(1), "ping");
    let worker = async {
        let Delivery { properties, ticket, .. } = inbox.next().await;
        ticket.settle(Settlement::Kept);
        assert!(bus.unsubscribe(shard_of(1), PATIENCE).await, "it is acknowledged");
        bus.reply(&properties, Bytes::from_static(b"{\"late\":1}"));
        // One that nobody asked for goes nowhere.
        bus.reply(&Properties::default(), Bytes::new());
    };
    let (answered, ()) = tokio::join!(caller.call(&request, PATIENCE), worker);
    assert_eq!(answered.as_deref(), Ok(b"{\"late\":1}".as_slice()));
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_gets_its_answer() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let caller = fixture.caller();
    let request = CommandRequest {
        command_id: CommandId::new("c-1"),
        correlation_id: Some("k".to_owned()),
        ..CommandRequest::new(account(1), "ping")
    };
    let worker = async {
        let delivery = inbox.next().await;
        assert_eq!(delivery.properties.message_id.as_deref(), Some("c-1"));
        assert_eq!(delivery.properties.correlation_id.as_deref(), Some("k"));
        delivery.ticket.settle(Settlement::Answered { event: Bytes::from_static(b"{\"a\":1}") });
    };
    let (answered, ()) = tokio::join!(caller.call(&request, PATIENCE), worker);
    assert_eq!(answered.as_deref(), Ok(b"{\"a\":1}".as_slice()));
    // Nobody answers this one: a caller that gives up before it is sent withdraws it.
    let none = caller.call(&request.field("n", 1), Duration::from_millis(100)).await;
    assert_eq!(none, Err(PublishError::NoAnswer));
    publish(&fixture, &numbered(1, 2..3)).await;
    let mut last = 0;
    while last != 2 {
        last = numbers(&mut inbox, 1).await[0];
    }
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_to_nobody_blocks_nothing() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    for queue in ["no-such-queue", "amq.rabbitmq.reply-to.of-nobody"] {
        let properties = BasicProperties::default().with_reply_to(queue.into());
        let exchange = fixture.names.commands_exchange();
        client.publish(&exchange, &Fixture::key(1, "ping"), b"{\"n\": 1}", properties).await;
        answer(inbox.next().await);
    }
    assert!(bus.unsubscribe(shard_of(1), PATIENCE).await);
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 5..6)).await;
    assert_eq!(numbers(&mut inbox, 1).await, [5]);
    fixture.drain().await;
}
