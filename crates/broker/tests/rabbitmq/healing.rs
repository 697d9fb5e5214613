//! Bindings, queues and exchanges that are removed while everyone is connected.

use std::time::Duration;

use broker::PublishError;
use contracts::{Flow, Names};
use lapin::BasicProperties;
use settings::QueueType;

use crate::amqp_client::AmqpClient;
use crate::support::{Fixture, Inbox, PATIENCE, answer, count, number, numbered, shard_of};

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(100);

const BODY: &[u8] = br#"{"command": "ping", "userbot_id": 1, "n": 7}"#;

/// Removes the binding of the queue of account 1.
async fn unbind(fixture: &Fixture, client: &AmqpClient) {
    let queue = fixture.names.command_queue(Flow::Hi, shard_of(1), count());
    let binding = Names::command_binding(Flow::Hi, shard_of(1));
    client.unbind(&queue, &fixture.names.commands_exchange(), &binding).await;
}

/// Publishes a command for account 1, as a client that declares nothing.
async fn publish(client: &AmqpClient, exchange: &str) {
    client.publish(exchange, &Fixture::key(1, "ping"), BODY, BasicProperties::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_without_a_binding_has_it_declared_and_is_delivered() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    unbind(&fixture, &client).await;
    for forwarded in [true, false] {
        publish(&client, &fixture.names.commands_exchange()).await;
        let delivery = inbox.next().await;
        assert_eq!((number(&delivery.body), delivery.forwarded), (7, forwarded));
        answer(delivery);
    }
    assert!(client.try_get(&fixture.names.dead_letter_queue()).await.is_none());
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_was_not_routed_has_the_exchange_declared_and_is_delivered() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    client.delete_exchange(&fixture.names.commands_exchange()).await;
    publish(&client, &fixture.names.unrouted_exchange(count())).await;
    let delivery = inbox.next().await;
    assert_eq!((number(&delivery.body), delivery.forwarded), (7, true));
    answer(delivery);
    assert!(client.try_get(&fixture.names.dead_letter_queue()).await.is_none());
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_declares_a_missing_binding_again_by_itself() {
    let mut fixture = Fixture::shared(QueueType::Quorum);
    fixture.settings.topology_check_s = 1;
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    // Nobody is told of messages without a binding any more.
    let unrouted = fixture.names.unrouted_queue();
    client.unbind(&unrouted, &fixture.names.unrouted_exchange(count()), "").await;
    unbind(&fixture, &client).await;
    until_delivered(&client, &fixture.names.commands_exchange(), &mut inbox).await;
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_declares_a_deleted_exchange_with_its_bindings_again_by_itself() {
    let mut fixture = Fixture::shared(QueueType::Classic);
    fixture.settings.topology_check_s = 1;
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    let exchange = fixture.names.commands_exchange();
    client.delete_exchange(&exchange).await;
    client.wait_for_exchange(&exchange).await;
    publish(&client, &fixture.names.commands_exchange()).await;
    let delivery = inbox.next().await;
    assert_eq!(number(&delivery.body), 7);
    answer(delivery);
    assert!(client.try_get(&fixture.names.dead_letter_queue()).await.is_none());
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_declares_again_what_returned_its_command() {
    let fixture = Fixture::shared(QueueType::Classic);
    let caller = fixture.caller();
    assert!(caller.publish_command(&numbered(1, 0..1)).await[0].is_ok());
    let client = fixture.client().await;
    let queue = fixture.names.command_queue(Flow::Hi, shard_of(1), count());
    for queue in [&queue, &fixture.names.unrouted_queue()] {
        client.delete_queue(queue).await;
    }
    let outcome = caller.publish_command(&numbered(1, 1..2)).await;
    assert_eq!(outcome, [Err(PublishError::Unroutable)]);
    client.wait_for_queue(&queue).await;
    let published = async {
        while caller.publish_command(&numbered(1, 2..3)).await[0].is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, published).await.expect("a binding in time");
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_was_declared_differently_ends_no_worker() {
    let mut fixture = Fixture::shared(QueueType::Classic);
    fixture.settings.topology_check_s = 1;
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    let other = (2..100).find(|id| shard_of(*id) != shard_of(1)).unwrap();
    let queue = fixture.names.command_queue(Flow::Hi, shard_of(other), count());
    client.delete_queue(&queue).await;
    client.declare_durable_queue(&queue).await;
    let unrouted = fixture.names.unrouted_exchange(count());
    // The worker binds this queue again on its way to the other one: each round is a check that has
    // failed, or is about to.
    for _ in 0..3 {
        client.unbind(&fixture.names.unrouted_queue(), &unrouted, "").await;
        until_delivered(&client, &unrouted, &mut inbox).await;
    }
    assert!(!fixture.failed.is_cancelled() && *bus.connected().borrow());
    fixture.drain().await;
}

/// Publishes commands to an exchange until one is delivered.
async fn until_delivered(client: &AmqpClient, exchange: &str, inbox: &mut Inbox) {
    let delivered = async {
        while inbox.is_empty() {
            publish(client, exchange).await;
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, delivered).await.expect("a delivery in time");
    while !inbox.is_empty() {
        answer(inbox.next().await);
    }
}
