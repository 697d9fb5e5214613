//! Commands that are answered without being run.

use contracts::{Flow, Properties};
use owner_worker::CommandOutcome;
use serde_json::{Value, json};

use super::{again, event, message};
use crate::support::World;

#[tokio::test]
async fn a_rejection_is_published_once() {
    let world = World::ready().await;
    let unknown_field = json!({"command": "get_active_sessions", "userbot_id": 1, "x": 1});
    let cases = [unknown_field, json!({"command": "nope", "userbot_id": 1})];
    for (number, mut body) in cases.into_iter().enumerate() {
        let (id, account) = (format!("c-{number}"), body["userbot_id"].as_i64().unwrap());
        body["command_id"] = json!(id);
        let message = message(&body);
        let both = [world.deliver(&message), world.deliver(&message)];
        let [first, second] = both.map(event);
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first, second);
        assert_eq!(event(world.deliver(&again(&message))).await, first);
        assert_eq!(world.log.answers(account, &id).len(), 1, "{body}");
    }
}

#[tokio::test]
async fn an_unreadable_message_is_answered_once_and_dead_lettered_every_time() {
    let world = World::ready().await;
    let count = contracts::ShardCount::new(64).unwrap();
    let account = contracts::AccountId::new(1).unwrap();
    let key = contracts::RoutingKey::new(Flow::Hi, count, account, "block_user");
    let properties = || Properties { message_id: Some("m".to_owned()), ..Properties::default() };
    let garbage = |body: &'static [u8]| {
        let body = bytes::Bytes::from_static(body);
        world.request(owner_worker::WorkerRequest {
            body,
            key: key.clone(),
            properties: properties(),
            refusal: None,
            redelivered: false,
            expired: false,
        })
    };
    let first = garbage(b"hello").outcome().await;
    assert!(matches!(first, Some(CommandOutcome::DeadLetter { event: Some(_), .. })), "{first:?}");
    assert_eq!(garbage(b"hello").outcome().await, first);
    assert_eq!(world.log.answers(1, "m").len(), 1);
    let other = garbage(b"hallo").outcome().await;
    let Some(CommandOutcome::DeadLetter { event: Some(other), .. }) = other else {
        panic!("no dead letter but {other:?}");
    };
    let other: Value = serde_json::from_slice(&other).unwrap();
    assert_eq!(other["payload"]["error"], "command_id was used for another command");
}
