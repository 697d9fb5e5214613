//! Messages that did not reach their shard, or that nobody can process.

use broker::Settlement;
use contracts::{Flow, RoutingKey, Shard};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use settings::QueueType;

use crate::amqp_client::reason;
use crate::support::{Fixture, PATIENCE, account, answer, count, shard_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unroutable_command_reaches_its_account() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    let exchange = fixture.names.commands_exchange();
    let body = br#"{"action": "ping", "userbot_id": 1}"#;
    client.publish(&exchange, "cmd_lo.s999.acc.1.ping", body, BasicProperties::default()).await;
    let delivery = inbox.next().await;
    assert!(delivery.forwarded);
    assert_eq!(&delivery.body[..], body);
    assert_eq!(delivery.key, RoutingKey::new(Flow::Lo, count(), account(1), "ping"));
    answer(delivery);
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_form_never_reaches_the_account_that_the_body_names() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    count().shards().for_each(|shard| bus.subscribe(shard));
    let client = fixture.client().await;
    let replies = client.reply_queue(&fixture.names).await;
    let exchange = fixture.names.commands_exchange();
    let body = br#"{"command": "ping", "userbot_id": 1}"#;
    let (right, shard) = (Fixture::key(1, "ping"), shard_of(1));
    for key in [
        format!("{right}.more"),
        format!("{right}."),
        format!("cmd_hi.{shard}.acc.01.ping"),
        format!("cmd_hi.{shard}.acc.+1.ping"),
        format!("cmd_hi.{shard}.acc.one.ping"),
        format!("cmd_hi.{shard}.acc.1."),
        "somewhere".to_owned(),
        String::new(),
    ] {
        let properties = BasicProperties::default().with_reply_to(replies.as_str().into());
        client.publish(&exchange, &key, body, properties).await;
        let letter = client.get(&fixture.names.dead_letter_queue()).await.delivery;
        assert_eq!(reason(&letter), "its routing key is not that of a command", "{key}");
        assert_eq!(&letter.data[..], body);
        let reply = client.get(&replies).await.delivery;
        let event: serde_json::Value = serde_json::from_slice(&reply.data).unwrap();
        assert_eq!(event["userbot_id"], serde_json::Value::Null, "{event}");
        assert_eq!(event["payload"]["error"], "its routing key is not that of a command");
    }
    assert!(inbox.is_empty(), "the handler never sees them");
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_under_another_key_still_belongs_to_the_account_of_the_first() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    count().shards().for_each(|shard| bus.subscribe(shard));
    let client = fixture.client().await;
    let other = (2..1000).find(|id| shard_of(*id) != shard_of(1)).unwrap();
    // RabbitMQ routes by these keys as well, and checks the right to none of them.
    let copies = [AMQPValue::LongString(Fixture::key(other, "ping").into())];
    let mut headers = FieldTable::default();
    headers.insert("CC".into(), AMQPValue::FieldArray(copies.to_vec().into()));
    let properties = BasicProperties::default().with_headers(headers);
    let body = format!(r#"{{"command": "ping", "userbot_id": {other}}}"#);
    let exchange = fixture.names.commands_exchange();
    client.publish(&exchange, &Fixture::key(1, "ping"), body.as_bytes(), properties).await;
    for _ in 0..2 {
        let delivery = inbox.next().await;
        assert_eq!(delivery.key.account, account(1));
        answer(delivery);
    }
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_on_the_wrong_shard_is_forwarded_once() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    let wrong = Shard((shard_of(1).0 + 1) % count().get());
    bus.subscribe(shard_of(1));
    bus.subscribe(wrong);
    let client = fixture.client().await;
    let key = format!("cmd_hi.{wrong}.acc.1.ping");
    let body = br#"{"command": "ping", "userbot_id": 1}"#;
    let properties = BasicProperties::default().with_message_id("m-1".into());
    let exchange = fixture.names.commands_exchange();
    client.publish(&exchange, &key, body, properties.clone()).await;
    let delivery = inbox.next().await;
    assert_eq!(delivery.key.to_string(), Fixture::key(1, "ping"));
    assert_eq!(delivery.properties.message_id.as_deref(), Some("m-1"));
    assert!(delivery.forwarded);
    answer(delivery);

    // Anyone can write the mark; without the workers' signature it does not count.
    let mut headers = FieldTable::default();
    headers.insert("x-tdfleet-forwarded".into(), AMQPValue::Boolean(true));
    client.publish(&exchange, &key, body, properties.with_headers(headers)).await;
    let delivery = inbox.next().await;
    assert_eq!(delivery.key.to_string(), Fixture::key(1, "ping"));
    answer(delivery);
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_names_no_account_is_a_dead_letter() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (_bus, _inbox) = fixture.worker().await;
    let client = fixture.client().await;
    let replies = client.reply_queue(&fixture.names).await;
    let properties = BasicProperties::default()
        .with_reply_to(replies.as_str().into())
        .with_message_id("m-1".into())
        // RabbitMQ refuses a publish under another user's name: it must not be passed on.
        .with_user_id("guest".into());
    client.publish(&fixture.names.commands_exchange(), "?", b"\xff nope", properties).await;
    let letter = client.get(&fixture.names.dead_letter_queue()).await.delivery;
    assert_eq!(letter.data, b"\xff nope");
    assert_eq!(reason(&letter), "its routing key is not that of a command");
    let reply = client.get(&replies).await.delivery;
    assert_eq!(reply.properties.message_id().as_ref().unwrap().as_str(), "m-1");
    let event: serde_json::Value = serde_json::from_slice(&reply.data).unwrap();
    assert_eq!(event["payload"]["type"], "command_error");
    assert_eq!(event["payload"]["error_info"]["code"], "invalid_request");
    assert_eq!(event["payload"]["_meta"]["command_id"], "m-1");
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_keeps_its_reason() {
    let fixture = Fixture::shared(QueueType::Classic);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_command_is_delivered_marked() {
    for queue_type in [QueueType::Quorum, QueueType::Classic] {
        let fixture = Fixture::shared(queue_type);
        let (bus, mut inbox) = fixture.worker().await;
        let client = fixture.client().await;
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
