//! The operator's commands: dead letters, and the inspection of the topology.

use broker::{
    DeadLetter, DeadLetterSelector, DeadLetters, Delivery, Error, Inspection, RedriveCount,
    Settlement, inspect,
};
use contracts::ShardCount;
use lapin::BasicProperties;
use settings::QueueType;

use crate::support::{Fixture, Inbox, answer, count, shard_of};

/// More than RabbitMQ keeps in order by itself.
const LETTERS: u64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_redriven_and_purged() {
    for queue_type in [QueueType::Quorum, QueueType::Classic] {
        let fixture = Fixture::shared(queue_type);
        let letters = DeadLetters::connect(
            &fixture.settings,
            fixture.names.clone(),
            Some(Fixture::mac_key()),
        )
        .await
        .unwrap();
        let none = letters.list(10).await;
        assert!(matches!(none, Err(Error::NoQueue { .. })), "{none:?}");
        drop(letters);
        let mut inbox = with_letters(&fixture).await;
        listed(&fixture).await;
        redriven(&fixture, &mut inbox).await;
        purged(&fixture).await;
        fixture.drain().await;
    }
}

async fn letters(fixture: &Fixture) -> DeadLetters {
    DeadLetters::connect(&fixture.settings, fixture.names.clone(), Some(Fixture::mac_key()))
        .await
        .unwrap()
}

fn id(letter: &DeadLetter) -> DeadLetterSelector {
    DeadLetterSelector::Id(letter.id.clone().unwrap())
}

fn republished(republished: u64) -> RedriveCount {
    RedriveCount { republished, left: 0 }
}

/// A worker that has dead-lettered the commands `m-0`, `m-1`, …
async fn with_letters(fixture: &Fixture) -> Inbox {
    let (bus, mut inbox) = fixture.worker().await;
    bus.subscribe(shard_of(1));
    let client = fixture.client().await;
    let (exchange, key) = (fixture.names.commands_exchange(), Fixture::key(1, "ping"));
    for n in 0..LETTERS {
        let properties = BasicProperties::default()
            .with_message_id(format!("m-{n}").into())
            .with_correlation_id("k".into());
        client.publish(&exchange, &key, b"{\"n\": \"12345\"", properties).await;
        let Delivery { ticket, .. } = inbox.next().await;
        let reason = "command is not valid JSON".to_owned();
        ticket.settle(Settlement::DeadLetter { reason, event: None });
    }
    // Settling happens in the background; the queue shows when all have arrived.
    while letters(fixture).await.list(0).await.unwrap().1 < LETTERS {
        tokio::task::yield_now().await;
    }
    inbox
}

async fn listed(fixture: &Fixture) {
    let operator = letters(fixture).await;
    let (some, total) = operator.list(3).await.unwrap();
    assert_eq!((some.len(), total), (3, LETTERS));
    let first = &some[0];
    assert_eq!(first.command_id.as_deref(), Some("m-0"));
    assert_eq!(first.routing_key, Some(Fixture::key(1, "ping")));
    assert_eq!(first.reason.as_deref(), Some("command is not valid JSON"));
    assert_eq!((first.position, first.bytes), (1, 13));
    assert!(first.since.is_some());
    for _ in 0..2 {
        let (all, _) = operator.list(1000).await.unwrap();
        let ids: Vec<_> = all.iter().filter_map(|letter| letter.command_id.clone()).collect();
        let expected: Vec<_> = (0..LETTERS).map(|n| format!("m-{n}")).collect();
        assert_eq!(ids, expected, "listing changes nothing");
        let shown = operator.show(&DeadLetterSelector::Id("m-7".to_owned()), 10).await.unwrap();
        let [(letter, body)] = &shown[..] else { panic!("{shown:?}") };
        assert_eq!((letter.id.clone(), &body[..]), (all[7].id.clone(), &b"{\"n\": \"12345\""[..]));
    }
    assert!(
        operator.show(&DeadLetterSelector::Id("m-99".to_owned()), 10).await.unwrap().is_empty()
    );
}

async fn redriven(fixture: &Fixture, inbox: &mut Inbox) {
    let operator = letters(fixture).await;
    let (all, _) = operator.list(1000).await.unwrap();
    assert_eq!(operator.redrive(&id(&all[5])).await.unwrap(), republished(1));
    let delivery = inbox.next().await;
    assert_eq!(delivery.properties.message_id.as_deref(), Some("m-5"));
    assert_eq!(delivery.properties.correlation_id.as_deref(), Some("k"));
    assert!(!delivery.forwarded && !delivery.expired && !delivery.redelivered);
    answer(delivery);
    assert_eq!(operator.redrive(&id(&all[5])).await.unwrap(), republished(0));
    assert_eq!(operator.list(0).await.unwrap().1, LETTERS - 1);

    // The first two become dead letters again, the others are answered.
    let all = operator.redrive(&DeadLetterSelector::All).await.unwrap();
    assert_eq!(all, republished(LETTERS - 1));
    for n in (0..LETTERS).filter(|n| *n != 5) {
        let delivery = inbox.next().await;
        assert_eq!(delivery.properties.message_id, Some(format!("m-{n}")), "in their order");
        if n < 2 {
            let reason = "still not".to_owned();
            delivery.ticket.settle(Settlement::DeadLetter { reason, event: None });
        } else {
            answer(delivery);
        }
    }
}

async fn purged(fixture: &Fixture) {
    let operator = letters(fixture).await;
    while operator.list(0).await.unwrap().1 < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(operator.purge(&DeadLetterSelector::Id("m-1".to_owned())).await.unwrap(), 1);
    let (left, _) = operator.list(10).await.unwrap();
    let [letter] = &left[..] else { panic!("{left:?}") };
    assert_eq!(letter.command_id.as_deref(), Some("m-0"));
    assert_eq!(letter.reason.as_deref(), Some("still not"));
    assert_eq!(operator.purge(&DeadLetterSelector::All).await.unwrap(), 1);
    assert_eq!(operator.list(10).await.unwrap().1, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inspection_finds_what_is_wrong_and_declares_nothing() {
    let fixture = Fixture::shared(QueueType::Quorum);
    let look = async |settings| {
        let report = inspect(settings, fixture.names.clone(), count()).await?;
        assert!(report.version.is_some() && report.refusals.is_empty(), "{report:?}");
        Ok::<_, Error>(report.topology)
    };
    for _ in 0..2 {
        let found = look(&fixture.settings).await.unwrap();
        assert!(matches!(found, Inspection::Fresh), "{found:?}");
    }
    let (_bus, _inbox) = fixture.worker().await;
    let found = look(&fixture.settings).await.unwrap();
    assert!(matches!(found, Inspection::Sound { dead_letters: 0 }), "{found:?}");

    let eight = ShardCount::new(8).unwrap();
    let found = inspect(&fixture.settings, fixture.names.clone(), eight).await.unwrap().topology;
    assert!(matches!(found, Inspection::Other(Error::ShardCount { count: 8, .. })), "{found:?}");
    let mut classic = fixture.settings.clone();
    classic.queue_type = QueueType::Classic;
    let found = look(&classic).await.unwrap();
    assert!(matches!(found, Inspection::Other(Error::Mismatch { .. })), "{found:?}");

    // Nobody consumes the dead letters, so nobody declares the queue again.
    let queue = fixture.names.dead_letter_queue();
    let client = fixture.client().await;
    client.delete_queue(&queue).await;
    let found = look(&fixture.settings).await.unwrap();
    assert!(matches!(&found, Inspection::Missing(missing) if *missing == [&*queue]), "{found:?}");
    let exchange = fixture.names.commands_exchange();
    client.delete_exchange(&exchange).await;
    let found = look(&fixture.settings).await.unwrap();
    assert!(
        matches!(&found, Inspection::Missing(missing) if *missing == [exchange, queue]),
        "{found:?}"
    );

    let mut nowhere = fixture.settings.clone();
    nowhere.uri = "amqp://127.0.0.1:1/%2f".into();
    assert!(matches!(look(&nowhere).await, Err(Error::Failed { .. })));
    fixture.drain().await;
}
