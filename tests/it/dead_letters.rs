//! `tdfleet dead-letters`.

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep, timeout};

use crate::support::{Backend, PATIENCE, World, routing_key};

/// Waits for this many dead letters, and returns them.
pub(crate) async fn wait_for_letters(world: &World, number: usize) -> Vec<Value> {
    let listed = async {
        loop {
            let (_, text) = world.output(&["dead-letters", "list", "--json"]).await;
            let letters: Vec<Value> = serde_json::from_str(&text).unwrap();
            if letters.len() == number {
                return letters;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, listed).await.expect("the dead letters")
}

/// Publishes a dead letter such as an earlier worker left: a command that can run now.
async fn publish_dead_letter(backend: &Backend, id: &str) {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut headers = FieldTable::default();
    headers.insert("x-tdfleet-reason".into(), text("it was forwarded before"));
    headers.insert("x-tdfleet-forwarded".into(), AMQPValue::Boolean(true));
    let key = routing_key(1, "get_active_sessions");
    headers.insert("x-tdfleet-routing-key".into(), text(&key));
    let properties = BasicProperties::default().with_message_id(id.into()).with_headers(headers);
    let body = json!({"command": "get_active_sessions", "userbot_id": 1, "command_id": id});
    let (queue, options) = ("tdfleet.dead-letters".into(), BasicPublishOptions::default());
    let body = body.to_string();
    let published =
        backend.channel.basic_publish("".into(), queue, options, body.as_bytes(), properties);
    assert!(published.await.unwrap().await.unwrap().is_ack());
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_redriven_and_purged() {
    let (world, _worker, mut backend) = World::logged_in(1).await;

    let key = routing_key(1, "send_code");
    let properties = BasicProperties::default().with_message_id("m-1".into());
    backend.publish(&key, b"{\"code\": \"31337\"", properties).await;
    let [letter] = &wait_for_letters(&world, 1).await[..] else { panic!("one letter") };
    assert_eq!(letter["routing_key"], key, "{letter}");
    assert_eq!(letter["command_id"], "m-1", "{letter}");
    assert!(letter["reason"].is_string() && letter["since"].is_string(), "{letter}");
    let id = letter["id"].as_str().unwrap();

    let (code, table) = world.output(&["dead-letters", "list"]).await;
    assert!(code == Some(0) && table.contains(id) && !table.contains("31337"), "{table}");
    let (code, shown) = world.output(&["dead-letters", "show", id]).await;
    assert!(code == Some(0) && shown.contains(&key) && !shown.contains("31337"), "{shown}");
    // A body that may hold a secret is not kept.
    let (code, shown) = world.output(&["dead-letters", "show", "m-1", "--body"]).await;
    assert!(code == Some(0) && shown.contains("removed") && !shown.contains("31337"), "{shown}");
    assert_eq!((&letter["signed"], &letter["body_removed"]), (&json!(true), &json!(true)));
    assert_eq!(world.output(&["dead-letters", "redrive", "m-1"]).await.0, Some(1));
    assert_eq!(world.output(&["dead-letters", "show", "m-2"]).await.0, Some(1));

    publish_dead_letter(&backend, "cmd-redriven").await;
    let redriven = world.output(&["dead-letters", "redrive", "cmd-redriven"]).await;
    assert_eq!(redriven, (Some(0), "1 republished\n".to_owned()));
    let answer = backend.answer("get_active_sessions").await;
    assert_eq!(answer["payload"]["_meta"]["command_id"], "cmd-redriven", "{answer}");
    assert!(answer["payload"]["result"].is_object(), "{answer}");
    assert_eq!(wait_for_letters(&world, 1).await[0]["id"], id);

    for command in ["redrive", "purge"] {
        // Either an id or `--all` is required.
        assert_eq!(world.output(&["dead-letters", command]).await.0, Some(2));
    }
    let purged = world.output(&["dead-letters", "purge", "--all"]).await;
    assert_eq!(purged, (Some(0), "1 purged\n".to_owned()));
    wait_for_letters(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_no_worker_wrote_is_redriven_only_by_its_id_and_controls_no_terminal() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    let key = routing_key(1, "get_active_sessions");
    backend
        .publish(&key, b"{\"n\": 1", BasicProperties::default().with_message_id("own".into()))
        .await;
    wait_for_letters(&world, 1).await;
    backend.answer("get_active_sessions").await;
    publish_dead_letter(&backend, "forged \u{1b}[2J\u{9b}2J").await;
    let letters = wait_for_letters(&world, 2).await;
    let signed = |id: &str| {
        letters.iter().find(|letter| letter["command_id"] == id).map(|letter| &letter["signed"])
    };
    assert_eq!(signed("own"), Some(&json!(true)), "{letters:?}");
    assert_eq!(signed("forged \u{1b}[2J\u{9b}2J"), Some(&json!(false)), "{letters:?}");

    let (_, table) = world.output(&["dead-letters", "list"]).await;
    let (_, shown) = world.output(&["dead-letters", "show", "forged \u{1b}[2J\u{9b}2J"]).await;
    let (_, json) = world.output(&["dead-letters", "list", "--json"]).await;
    for output in [table, shown, json] {
        assert!(output.contains("forged"), "{output}");
        let controls = output.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(controls, None, "{output:?}");
    }

    // The worker's own letter is published again, and comes back: it is still no JSON.
    let all = world.output(&["dead-letters", "redrive", "--all"]).await;
    assert_eq!(all, (Some(0), "1 republished\n".to_owned()));
    let left = wait_for_letters(&world, 2).await;
    assert!(left.iter().any(|letter| letter["signed"] == false), "{left:?}");
    let by_id = world.output(&["dead-letters", "redrive", "forged \u{1b}[2J\u{9b}2J"]).await;
    assert_eq!(by_id, (Some(0), "1 republished\n".to_owned()));
    let answer = backend.answer("get_active_sessions").await;
    assert!(answer["payload"]["result"].is_object(), "{answer}");
    wait_for_letters(&world, 1).await;
}
