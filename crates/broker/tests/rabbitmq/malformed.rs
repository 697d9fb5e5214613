//! Messages whose AMQP frames no client library would make: each costs itself and nothing else.

use broker::{Bus, DeadLetters};
use contracts::Names;
use settings::QueueType;
use test_servers::raw_amqp::{RawProperties, RawPublisher, nested_arrays, text_header};

use crate::amqp_client::reason;
use crate::support::{Fixture, Inbox, answer, number, numbered, publish, shard_of, shared_uri};

const BODY: &[u8] = br#"{"command": "ping", "userbot_id": 1}"#;
/// As deep as one frame allows, of 5 bytes each.
const DEEPEST: usize = 26_000;
/// As deep as properties of an allowed size can be.
const DEEP: usize = 3_200;

fn properties() -> RawProperties {
    RawProperties::default().message_id(b"m-1")
}

/// What is wrong with the properties, and the reason of the dead letter.
fn unreadable() -> Vec<(RawProperties, &'static str)> {
    let not_utf8 = "its AMQP properties hold text that is not UTF-8";
    let too_deep = "its AMQP headers are nested more than 8 levels deep";
    let too_large = "its AMQP properties are larger than 16 KiB";
    let large = text_header(b"text", &[b'x'; 100_000]);
    vec![
        (properties().correlation_id(b"\xff"), not_utf8),
        (RawProperties::default().message_id(b"\xff\xfe"), not_utf8),
        (properties().reply_to(b"\xff"), not_utf8),
        (properties().app_id(b"\xff"), not_utf8),
        (properties().headers(&text_header(b"\xff", b"x")), not_utf8),
        (properties().headers(&nested_arrays(9)), too_deep),
        (properties().headers(&nested_arrays(DEEP)), too_deep),
        (properties().headers(&nested_arrays(DEEPEST)), too_large),
        (properties().headers(&large), too_large),
    ]
}

async fn raw_publisher() -> RawPublisher {
    tokio::task::spawn_blocking(|| RawPublisher::connect(&shared_uri())).await.unwrap()
}

/// A worker that has one command at hand, unsettled: a lost connection would deliver it again.
async fn busy_worker(fixture: &Fixture) -> (Bus, Inbox, broker::Delivery) {
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    publish(fixture, &numbered(1, 0..1)).await;
    let held = inbox.next().await;
    (bus, inbox, held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn properties_that_cannot_be_read_cost_one_message() {
    for queue_type in [QueueType::Quorum, QueueType::Classic] {
        let fixture = Fixture::shared(queue_type);
        let (_bus, mut inbox, held) = busy_worker(&fixture).await;
        let (client, mut publisher) = (fixture.client().await, raw_publisher().await);
        let exchange = fixture.names.commands_exchange();
        for (properties, expected) in unreadable() {
            publisher.publish(&exchange, Fixture::key(1, "ping").as_bytes(), properties, BODY);
            let refused = inbox.next().await;
            assert_eq!(refused.refusal.as_ref().unwrap().error, expected);
            refused.ticket.settle(broker::Settlement::DeadLetter {
                reason: expected.to_owned(),
                event: None,
            });
            let letter = client.get(&fixture.names.dead_letter_queue()).await.delivery;
            assert_eq!((reason(&letter).as_str(), &letter.data[..]), (expected, BODY));
        }
        publish(&fixture, &numbered(1, 1..2)).await;
        let next = inbox.next().await;
        assert_eq!((number(&next.body), next.redelivered), (1, false));
        answer(next);
        answer(held);
        fixture.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_routing_key_that_is_not_utf8_costs_one_message() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (_bus, mut inbox, held) = busy_worker(&fixture).await;
    let (client, mut publisher) = (fixture.client().await, raw_publisher().await);
    let exchange = fixture.names.commands_exchange();
    let shard = shard_of(1);
    // The first reaches the shard's queue, the second the queue of the unrouted.
    for key in [format!("cmd_hi.{shard}.acc.1."), "nowhere.".to_owned()] {
        let key = [key.as_bytes(), b"\xff"].concat();
        publisher.publish(&exchange, &key, properties(), BODY);
        let letter = client.get(&fixture.names.dead_letter_queue()).await.delivery;
        assert_eq!(reason(&letter), "its routing key is not that of a command");
        assert_eq!(letter.properties.message_id().as_ref().unwrap().as_str(), "m-1");
    }
    assert!(inbox.is_empty(), "the handler never sees them");
    publish(&fixture, &numbered(1, 1..2)).await;
    let next = inbox.next().await;
    assert_eq!((number(&next.body), next.redelivered), (1, false));
    answer(next);
    answer(held);
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_message_is_never_forwarded_nor_expired_into_a_command() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (_bus, mut inbox, held) = busy_worker(&fixture).await;
    let (client, mut publisher) = (fixture.client().await, raw_publisher().await);
    let names = &fixture.names;
    let wrong = Fixture::key(1, "ping").replace(&shard_of(1).to_string(), "s999");
    let unreadable = || properties().app_id(b"\xff");
    publisher.publish(&names.commands_exchange(), wrong.as_bytes(), unreadable(), BODY);
    let key = Fixture::key(1, "ping");
    publisher.publish(&names.expired_exchange(), key.as_bytes(), unreadable(), BODY);
    for _ in 0..2 {
        let letter = client.get(&names.dead_letter_queue()).await.delivery;
        assert_eq!(reason(&letter), "its AMQP properties hold text that is not UTF-8");
    }
    assert!(inbox.is_empty(), "the handler never sees them");
    answer(held);
    fixture.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_list_and_purge_unreadable_dead_letters() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let (_bus, _inbox) = fixture.worker().await;
    let mut publisher = raw_publisher().await;
    let queue = Names::dead_letter_queue(&fixture.names);
    let properties = unreadable();
    let number = properties.len() as u64;
    for (properties, _) in properties {
        publisher.publish("", queue.as_bytes(), properties, BODY);
    }
    let key = Some(Fixture::mac_key());
    let operator =
        DeadLetters::connect(&fixture.settings, fixture.names.clone(), key).await.unwrap();
    let (letters, total) = operator.list(100).await.unwrap();
    assert_eq!((letters.len() as u64, total), (number, number));
    let reasons: Vec<_> = letters.iter().filter_map(|letter| letter.reason.as_deref()).collect();
    let expected: Vec<_> = unreadable().into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(reasons, expected);
    assert_eq!(operator.purge(&broker::DeadLetterSelector::All).await.unwrap(), number);
    fixture.drain().await;
}
