//! What is over a limit, and replies to where they must not go.

use broker::{Delivery, Settlement};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use settings::QueueType;

use crate::amqp_client::{AmqpClient, reason};
use crate::support::{Fixture, answer, numbered, numbers, publish, shard_of};

/// A body of this many bytes.
fn sized(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"command": "ping", "userbot_id": 1, "x": ""#.to_vec();
    body.resize(bytes - 2, b'x');
    [body, br#""}"#.to_vec()].concat()
}

fn members(count: usize) -> Vec<u8> {
    let members: Vec<_> = (0..count).map(|n| format!(r#""{n}":1"#)).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

async fn send(fixture: &Fixture, client: &AmqpClient, command: &str, body: &[u8]) {
    let exchange = fixture.names.commands_exchange();
    client.publish(&exchange, &Fixture::key(1, command), body, BasicProperties::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_a_limit_is_refused_before_it_is_parsed() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
    let name = format!(r#"{{"{}": 1}}"#, "n".repeat(65));
    let cases = [
        ("ping", sized(64 << 10), None),
        ("ping", sized((64 << 10) + 1), Some("command is larger than 64 KiB")),
        ("call_tdlib", sized(256 << 10), None),
        ("call_tdlib", sized((256 << 10) + 1), Some("command is larger than 256 KiB")),
        ("ping", members(1025), Some("command has more than 1024 members")),
        // As many distinct members as would keep a reader busy that compares each with all others.
        ("ping", members(60_000), Some("command is larger than 64 KiB")),
        ("ping", nested(32), None),
        ("ping", nested(33), Some("command is nested more than 32 levels deep")),
        ("call_tdlib", nested(100_000), Some("command is nested more than 32 levels deep")),
        (
            "ping",
            name.into_bytes(),
            Some("command has a member whose name is longer than 64 bytes"),
        ),
    ];
    for (command, body, expected) in cases {
        send(&fixture, &client, command, &body).await;
        let delivery = inbox.next().await;
        let refusal = delivery.refusal.as_ref();
        assert_eq!(refusal.map(|refusal| &*refusal.error), expected, "{command}");
        if let Some(refusal) = refusal {
            assert!(refusal.garbled);
            assert_eq!(refusal.account, Some(delivery.key.account));
            assert_eq!(refusal.name.as_deref(), Some(command));
        }
        answer(delivery);
    }
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_are_settings() {
    let mut fixture = Fixture::shared(QueueType::Quorum);
    fixture.limits.command_kib = 1;
    fixture.limits.json_members = 16;
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    for (body, expected) in [
        (sized(1025), "command is larger than 1 KiB"),
        (members(17), "command has more than 16 members"),
    ] {
        send(&fixture, &client, "ping", &body).await;
        let delivery = inbox.next().await;
        assert_eq!(delivery.refusal.as_ref().unwrap().error, expected);
        answer(delivery);
    }
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_to_a_queue_that_reply_to_must_not_name() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    let (exchange, key) = (fixture.names.commands_exchange(), Fixture::key(1, "ping"));
    let foreign = format!("inbox-{}", uuid::Uuid::new_v4());
    client.declare_queue(&foreign).await;
    let allowed = client.reply_queue(&fixture.names).await;
    let prefix = fixture.names.reply_prefix();
    let rule = format!(
        "reply_to must be amq.rabbitmq.reply-to or a queue whose name begins with {prefix}"
    );
    for queue in [&foreign, &fixture.names.dead_letter_queue(), &fixture.names.expired_queue()] {
        let properties = BasicProperties::default().with_reply_to(queue.as_str().into());
        client.publish(&exchange, &key, b"{\"n\": 1}", properties.clone()).await;
        let delivery = inbox.next().await;
        let refusal = delivery.refusal.as_ref().unwrap();
        assert_eq!((&*refusal.error, refusal.garbled), (&*rule, false));
        let properties = delivery.properties.clone();
        answer(delivery);
        bus.reply(&properties, bytes::Bytes::from_static(b"late"));
    }
    // A message that becomes a dead letter by itself, and one by the handler's decision.
    let properties = || BasicProperties::default().with_reply_to(foreign.as_str().into());
    client.publish(&exchange, "nowhere", b"?", properties()).await;
    client.publish(&exchange, &key, b"?", properties()).await;
    let Delivery { ticket, .. } = inbox.next().await;
    ticket.settle(Settlement::DeadLetter { reason: "no".to_owned(), event: None });
    for _ in 0..2 {
        client.get(&fixture.names.dead_letter_queue()).await;
    }
    // Replies are sent in order: the last one shows that those before it were not.
    let properties = BasicProperties::default().with_reply_to(allowed.as_str().into());
    client.publish(&exchange, &key, b"{\"n\": 2}", properties).await;
    answer(inbox.next().await);
    assert_eq!(client.get(&allowed).await.delivery.data, b"{\"n\": 2}");
    assert!(client.try_get(&foreign).await.is_none());
    assert!(client.try_get(&fixture.names.dead_letter_queue()).await.is_none());
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_direct_reply_to_loses_no_other_reply() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    let allowed = client.reply_queue(&fixture.names).await;
    let (exchange, key) = (fixture.names.commands_exchange(), Fixture::key(1, "ping"));
    for rest in [".", ".x", ".x.y", ".g2dk.eA==", ".g1h2.a.b", ".AAAA.AAAA", ".////.////"] {
        let forged = format!("amq.rabbitmq.reply-to{rest}");
        for queue in [&forged, &allowed] {
            let properties = BasicProperties::default().with_reply_to(queue.as_str().into());
            client.publish(&exchange, &key, b"{}", properties).await;
            answer(inbox.next().await);
        }
        assert_eq!(client.get(&allowed).await.delivery.data, b"{}", "{forged}");
    }
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_marks_a_message_as_unreadable_can_be_forged_to_no_effect() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    let (exchange, key) = (fixture.names.commands_exchange(), Fixture::key(1, "ping"));
    let text = AMQPValue::LongString("a reason of the caller's choice".into());
    for value in [text, AMQPValue::ShortShortUInt(99), AMQPValue::ShortShortUInt(0)] {
        let mut headers = FieldTable::default();
        headers.insert("x-tdfleet-unreadable".into(), value);
        let properties = BasicProperties::default().with_headers(headers);
        client.publish(&exchange, &key, b"{}", properties).await;
        let delivery = inbox.next().await;
        if let Some(refusal) = &delivery.refusal {
            assert_eq!(refusal.error, "its AMQP properties hold text that is not UTF-8");
        }
        answer(delivery);
    }
    publish(&fixture, &numbered(1, 5..6)).await;
    assert_eq!(numbers(&mut inbox, 1).await, [5]);
    let letters = client.try_get(&fixture.names.dead_letter_queue()).await;
    assert!(letters.is_none(), "{:?}", letters.map(|letter| reason(&letter.delivery)));
    fixture.drain().await;
}
