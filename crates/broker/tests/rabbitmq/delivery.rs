//! One node, one namespace per scenario.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use broker::{Bus, Delivery, Outgoing, PublishError, Settlement};
use bytes::Bytes;
use contracts::{CommandId, Flow, Properties, RoutingKey, Shard, ShardCount};
use futures_util::FutureExt;
use futures_util::future::join_all;
use lapin::BasicProperties;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use settings::QueueType;
use test_servers::rabbitmq::RabbitServer;

use crate::support::{
    Client, Fixture, Inbox, PATIENCE, account, answer, count, number, numbered, recorder, shard_of,
};

#[expect(clippy::too_many_lines, reason = "one entry for each scenario")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_delivered_settled_and_kept_as_the_contract_says() {
    let server = RabbitServer::start();
    let server = &server;
    let scenarios = [
        ("answered_in_order_and_acknowledged", answered_in_order_and_acknowledged(server).boxed()),
        (
            "unsettled_is_delivered_again_and_marked",
            unsettled_is_delivered_again_and_marked(server).boxed(),
        ),
        (
            "what_is_left_comes_before_what_is_newer",
            what_is_left_comes_before_what_is_newer(server).boxed(),
        ),
        (
            "unsubscribing_waits_for_what_was_handed_over",
            unsubscribing_waits_for_what_was_handed_over(server).boxed(),
        ),
        (
            "without_a_lease_the_next_owner_gets_it_at_once",
            without_a_lease_the_next_owner_gets_it_at_once(server).boxed(),
        ),
        ("what_is_kept_is_answered_later", what_is_kept_is_answered_later(server).boxed()),
        ("left_unsettled_comes_again", left_unsettled_comes_again(server).boxed()),
        (
            "one_slow_command_does_not_hold_up_the_queue",
            one_slow_command_does_not_hold_up_the_queue(server).boxed(),
        ),
        (
            "one_worker_at_a_time_and_the_next_takes_over",
            one_worker_at_a_time_and_the_next_takes_over(server).boxed(),
        ),
        ("unroutable_reaches_the_account", unroutable_reaches_the_account(server).boxed()),
        ("a_wrong_shard_is_forwarded_once", a_wrong_shard_is_forwarded_once(server).boxed()),
        (
            "what_names_no_account_is_a_dead_letter",
            what_names_no_account_is_a_dead_letter(server).boxed(),
        ),
        ("a_dead_letter_keeps_its_reason", a_dead_letter_keeps_its_reason(server).boxed()),
        ("expired_is_handed_over_marked", expired_is_handed_over_marked(server).boxed()),
        ("a_call_gets_its_answer", a_call_gets_its_answer(server).boxed()),
        ("a_reply_to_nobody_holds_nothing_up", a_reply_to_nobody_holds_nothing_up(server).boxed()),
        (
            "a_publisher_needs_no_worker_to_have_been_there",
            a_publisher_needs_no_worker_to_have_been_there(server).boxed(),
        ),
        ("a_deleted_queue_is_declared_again", a_deleted_queue_is_declared_again(server).boxed()),
        (
            "a_command_without_a_queue_is_told_apart",
            a_command_without_a_queue_is_told_apart(server).boxed(),
        ),
        (
            "a_stop_lets_what_was_handed_over_finish",
            a_stop_lets_what_was_handed_over_finish(server).boxed(),
        ),
        ("another_shard_count_is_refused", another_shard_count_is_refused(server).boxed()),
        ("another_queue_type_is_refused", another_queue_type_is_refused(server).boxed()),
    ];
    let outcomes = join_all(scenarios.map(|(name, scenario)| async move {
        let passed = AssertUnwindSafe(scenario).catch_unwind().await.is_ok();
        (!passed).then_some(name)
    }));
    let failed = outcomes.await.into_iter().flatten().collect::<Vec<_>>();
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// Publishes and expects every confirm.
async fn publish(fixture: &Fixture, outgoing: &[Outgoing]) {
    for outcome in fixture.publisher().publish_command(outgoing).await {
        outcome.unwrap();
    }
}

async fn numbers(inbox: &mut Inbox, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let delivery = inbox.next().await;
        numbers.push(number(&delivery.body));
        answer(delivery);
    }
    numbers
}

async fn answered_in_order_and_acknowledged(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    publish(&fixture, &numbered(1, 0..100)).await;
    bus.subscribe(shard_of(1));
    assert_eq!(numbers(&mut inbox, 100).await, (0..100).collect::<Vec<_>>());
    assert!(bus.unsubscribe(shard_of(1), PATIENCE).await);
    // The queue is empty: the next to subscribe gets what was published last.
    publish(&fixture, &numbered(1, 100..101)).await;
    bus.subscribe(shard_of(1));
    let delivery = inbox.next().await;
    assert_eq!((number(&delivery.body), delivery.redelivered), (100, false));
    assert_eq!(delivery.key, Fixture::key(1, "ping").parse().ok());
    answer(delivery);
    fixture.drain().await;
}

async fn unsettled_is_delivered_again_and_marked(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
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
    // Settling by a channel that has ended does nothing.
    kept.into_iter().for_each(answer);
    fixture.drain().await;
    other.drain().await;
}

async fn what_is_left_comes_before_what_is_newer(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
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

async fn unsubscribing_waits_for_what_was_handed_over(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Classic);
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

async fn without_a_lease_the_next_owner_gets_it_at_once(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
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
    // The others are still open here, and come to the other worker all the same.
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

async fn what_is_kept_is_answered_later(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let publisher = fixture.publisher();
    let outgoing = Outgoing::new(account(1), "ping");
    let worker = async {
        let Delivery { properties, ticket, .. } = inbox.next().await;
        ticket.settle(Settlement::Kept);
        assert!(bus.unsubscribe(shard_of(1), PATIENCE).await, "it is acknowledged");
        bus.reply(&properties, Bytes::from_static(b"{\"late\":1}"));
        // One that nobody asked for goes nowhere.
        bus.reply(&Properties::default(), Bytes::new());
    };
    let (answered, ()) = tokio::join!(publisher.call(&outgoing, PATIENCE), worker);
    assert_eq!(answered.as_deref(), Ok(b"{\"late\":1}".as_slice()));
    fixture.drain().await;
}

async fn left_unsettled_comes_again(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..8)).await;
    for _ in 0..8 {
        drop(inbox.next().await);
    }
    // Half the prefetch is stuck: the channel is given up, and all of them come again.
    for n in 0..8 {
        let delivery = inbox.next().await;
        assert_eq!((number(&delivery.body), delivery.redelivered), (n, true));
        answer(delivery);
    }
    fixture.drain().await;
}

async fn one_slow_command_does_not_hold_up_the_queue(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..100)).await;
    let slow = inbox.next().await;
    assert_eq!(numbers(&mut inbox, 99).await, (1..100).collect::<Vec<_>>());
    answer(slow);
    assert!(bus.unsubscribe(shard_of(1), PATIENCE).await);
    fixture.drain().await;
}

async fn one_worker_at_a_time_and_the_next_takes_over(server: &RabbitServer) {
    let (one, other) = {
        let fixture = Fixture::new(server, QueueType::Quorum);
        let other = fixture.another();
        (fixture, other)
    };
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

async fn unroutable_reaches_the_account(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = Client::connect(server).await;
    let exchange = fixture.names.commands_exchange();
    let body = br#"{"action": "ping", "userbot_id": 1}"#;
    for key in ["cmd_lo.s999.acc.1.ping", "somewhere", "cmd_hi.s000.one.ping"] {
        client.publish(&exchange, key, body, BasicProperties::default()).await;
        let delivery = inbox.next().await;
        assert!(delivery.forwarded, "{key}");
        assert_eq!(&delivery.body[..], body);
        let flow = if key.starts_with("cmd_lo") { Flow::Lo } else { Flow::Hi };
        assert_eq!(delivery.key, Some(RoutingKey::new(flow, count(), account(1), "ping")));
        answer(delivery);
    }
    fixture.drain().await;
}

async fn a_wrong_shard_is_forwarded_once(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    let wrong = Shard((shard_of(1).0 + 1) % count().get());
    bus.subscribe(shard_of(1));
    bus.subscribe(wrong);
    let client = Client::connect(server).await;
    let key = format!("cmd_hi.{wrong}.acc.1.ping");
    let body = br#"{"command": "ping", "userbot_id": 1}"#;
    let properties = BasicProperties::default().with_message_id("m-1".into());
    client.publish(&fixture.names.commands_exchange(), &key, body, properties).await;
    let right: RoutingKey = Fixture::key(1, "ping").parse().unwrap();
    for forwarded in [false, true] {
        let delivery = inbox.next().await;
        assert_eq!(delivery.forwarded, forwarded);
        assert_eq!(delivery.properties.message_id.as_deref(), Some("m-1"));
        delivery.ticket.settle(Settlement::Forward { key: right.clone() });
    }
    let letter = client.get(&fixture.names.dead_letter_queue()).await.delivery;
    assert_eq!(
        (reason(&letter), &letter.data[..]),
        ("it was forwarded before".to_owned(), &body[..])
    );
    fixture.drain().await;
}

/// The reason header of a dead letter.
fn reason(letter: &lapin::message::Delivery) -> String {
    let headers = letter.properties.headers().as_ref().unwrap();
    let Some(AMQPValue::LongString(reason)) = headers.inner().get("x-tdfleet-reason") else {
        panic!("a dead letter without a reason: {headers:?}");
    };
    reason.to_string()
}

/// An exclusive queue for answers.
async fn reply_queue(client: &Client) -> String {
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let declared = client.channel.queue_declare("".into(), options, FieldTable::default());
    declared.await.unwrap().name().as_str().to_owned()
}

async fn what_names_no_account_is_a_dead_letter(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (_bus, _inbox) = fixture.worker().await;
    let client = Client::connect(server).await;
    let replies = reply_queue(&client).await;
    let properties = BasicProperties::default()
        .with_reply_to(replies.as_str().into())
        .with_message_id("m-1".into())
        // RabbitMQ refuses a publish under another user's name: it must not be passed on.
        .with_user_id("guest".into());
    client.publish(&fixture.names.commands_exchange(), "?", b"\xff nope", properties).await;
    let letter = client.get(&fixture.names.dead_letter_queue()).await.delivery;
    assert_eq!(letter.data, b"\xff nope");
    assert_eq!(reason(&letter), "neither its routing key nor its body names an account");
    let reply = client.get(&replies).await.delivery;
    assert_eq!(reply.properties.message_id().as_ref().unwrap().as_str(), "m-1");
    let event: serde_json::Value = serde_json::from_slice(&reply.data).unwrap();
    assert_eq!(event["payload"]["type"], "command_error");
    assert_eq!(event["payload"]["error_info"]["code"], "invalid_request");
    assert_eq!(event["payload"]["_meta"]["command_id"], "m-1");
    fixture.drain().await;
}

async fn a_dead_letter_keeps_its_reason(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Classic);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = Client::connect(server).await;
    let key = Fixture::key(1, "ping");
    let exchange = fixture.names.commands_exchange();
    client.publish(&exchange, &key, b"{", BasicProperties::default()).await;
    let delivery = inbox.next().await;
    let reason_given = "command is not valid JSON".to_owned();
    delivery.ticket.settle(Settlement::DeadLetter { reason: reason_given.clone(), event: None });
    let letter = client.get(&fixture.names.dead_letter_queue()).await.delivery;
    assert_eq!((reason(&letter), &letter.data[..]), (reason_given, &b"{"[..]));
    let headers = letter.properties.headers().clone().unwrap();
    let expected = AMQPValue::LongString(key.as_bytes().into());
    assert_eq!(headers.inner().get("x-tdfleet-routing-key"), Some(&expected));
    assert!(bus.unsubscribe(shard_of(1), PATIENCE).await);
    fixture.drain().await;
}

async fn expired_is_handed_over_marked(server: &RabbitServer) {
    for queue_type in [QueueType::Quorum, QueueType::Classic] {
        let fixture = Fixture::new(server, queue_type);
        let (bus, mut inbox) = fixture.worker().await;
        let client = Client::connect(server).await;
        let properties = BasicProperties::default().with_expiration("0".into());
        let body = br#"{"command": "ping", "userbot_id": 1}"#;
        let exchange = fixture.names.commands_exchange();
        client.publish(&exchange, &Fixture::key(1, "ping"), body, properties).await;
        bus.subscribe(shard_of(1));
        let delivery = inbox.next().await;
        assert!(delivery.expired && !delivery.forwarded, "{queue_type:?}");
        answer(delivery);
        fixture.drain().await;
    }
}

async fn a_call_gets_its_answer(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let publisher = fixture.publisher();
    let outgoing = Outgoing {
        command_id: CommandId::new("c-1"),
        correlation_id: Some("k".to_owned()),
        ..Outgoing::new(account(1), "ping")
    };
    let worker = async {
        let delivery = inbox.next().await;
        assert_eq!(delivery.properties.message_id.as_deref(), Some("c-1"));
        assert_eq!(delivery.properties.correlation_id.as_deref(), Some("k"));
        delivery.ticket.settle(Settlement::Answered { event: Bytes::from_static(b"{\"a\":1}") });
    };
    let (answered, ()) = tokio::join!(publisher.call(&outgoing, PATIENCE), worker);
    assert_eq!(answered.as_deref(), Ok(b"{\"a\":1}".as_slice()));
    // Nobody answers this one.
    let none = publisher.call(&outgoing, Duration::from_millis(100)).await;
    assert_eq!(none, Err(PublishError::NoAnswer));
    answer(inbox.next().await);
    fixture.drain().await;
}

async fn a_reply_to_nobody_holds_nothing_up(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = Client::connect(server).await;
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

async fn a_publisher_needs_no_worker_to_have_been_there(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    publish(&fixture, &numbered(1, 0..10)).await;
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    assert_eq!(numbers(&mut inbox, 10).await, (0..10).collect::<Vec<_>>());
    fixture.drain().await;
}

async fn a_deleted_queue_is_declared_again(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Classic);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(&fixture, &numbered(1, 0..1)).await;
    assert_eq!(numbers(&mut inbox, 1).await, [0]);
    let client = Client::connect(server).await;
    let queue = fixture.names.command_queue(Flow::Hi, shard_of(1), count());
    let deleted = client.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
    deleted.await.unwrap();
    // It is the worker's doing: a publisher declares only as it connects, which this one does later.
    client.wait_for_queue(&queue).await;
    publish(&fixture, &numbered(1, 1..2)).await;
    assert_eq!(numbers(&mut inbox, 1).await, [1]);
    fixture.drain().await;
}

async fn a_command_without_a_queue_is_told_apart(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    publish(&fixture, &numbered(1, 0..1)).await;
    let publisher = fixture.publisher();
    assert!(publisher.publish_command(&numbered(1, 1..2)).await[0].is_ok());
    let other = (2..100).find(|id| shard_of(*id) != shard_of(1)).unwrap();
    let client = Client::connect(server).await;
    let queue = fixture.names.command_queue(Flow::Hi, shard_of(other), count());
    for queue in [queue, fixture.names.unrouted_queue()] {
        let deleted = client.channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        deleted.await.unwrap();
    }
    let ping = |id| Outgoing::new(account(id), "ping");
    let outgoing = [ping(1), ping(1), ping(other), ping(1), ping(1), ping(other), ping(1)];
    let outcomes = publisher.publish_command(&outgoing).await;
    for (outcome, outgoing) in outcomes.iter().zip(&outgoing) {
        let expected =
            if outgoing.account == account(1) { None } else { Some(&PublishError::Unroutable) };
        assert_eq!(outcome.as_ref().err(), expected, "{outcomes:?}");
    }
    fixture.drain().await;
}

async fn a_stop_lets_what_was_handed_over_finish(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let caller = fixture.another();
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let publisher = caller.publisher();
    let outgoing = Outgoing::new(account(1), "ping");
    let mut call = std::pin::pin!(publisher.call(&outgoing, PATIENCE));
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
    let client = Client::connect(server).await;
    assert_eq!(reason(&client.get(&names.dead_letter_queue()).await.delivery), "stopping");
    caller.drain().await;
}

async fn another_shard_count_is_refused(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (_bus, _inbox) = fixture.worker().await;
    let other = fixture.another();
    let (execute, _) = recorder();
    let eight = ShardCount::new(8).unwrap();
    let bus = Bus::start(&other.stage, &other.settings, other.names.clone(), eight, execute);
    let bus = bus.unwrap();
    tokio::time::timeout(PATIENCE, other.failed.cancelled()).await.expect("a refusal");
    assert!(!*bus.connected().borrow());
    assert!(!fixture.failed.is_cancelled());
    fixture.drain().await;
    other.drain().await;
}

async fn another_queue_type_is_refused(server: &RabbitServer) {
    let fixture = Fixture::new(server, QueueType::Quorum);
    let (_bus, _inbox) = fixture.worker().await;
    let mut other = fixture.another();
    other.settings.queue_type = QueueType::Classic;
    let (execute, _) = recorder();
    let bus = Bus::start(&other.stage, &other.settings, other.names.clone(), count(), execute);
    bus.unwrap();
    tokio::time::timeout(PATIENCE, other.failed.cancelled()).await.expect("a refusal");
    fixture.drain().await;
    other.drain().await;
}
