//! What nobody could carry out, in the operator's hands.

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep, timeout};

use crate::fleet::output;
use crate::support::{Backend, World, routing_key};

/// The letters, once there are so many.
async fn letters(world: &World, number: usize) -> Vec<Value> {
    let listed = async {
        loop {
            let (_, text) = output(world, &["dead-letters", "list", "--json"]).await;
            let letters: Vec<Value> = serde_json::from_str(&text).unwrap();
            if letters.len() == number {
                return letters;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(30), listed).await.expect("so many letters")
}

/// A letter as an earlier worker put it aside: a command that can be carried out now.
async fn bury(backend: &Backend, id: &str) {
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
async fn letters_are_looked_at_sent_again_and_thrown_away() {
    let world = World::start(1).await;
    let _worker = world.worker();
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    world.log_in(&mut backend, 1).await;

    let key = routing_key(1, "send_code");
    let properties = BasicProperties::default().with_message_id("m-1".into());
    backend.publish(&key, b"{\"code\": \"31337\"", properties).await;
    let [letter] = &letters(&world, 1).await[..] else { panic!("one letter") };
    assert_eq!(letter["routing_key"], key, "{letter}");
    assert_eq!(letter["command_id"], "m-1", "{letter}");
    assert!(letter["reason"].is_string() && letter["since"].is_string(), "{letter}");
    let id = letter["id"].as_str().unwrap();

    // A body may hold secrets: it is shown only where it is asked for.
    let (code, table) = output(&world, &["dead-letters", "list"]).await;
    assert!(code == Some(0) && table.contains(id) && !table.contains("31337"), "{table}");
    let (code, shown) = output(&world, &["dead-letters", "show", id]).await;
    assert!(code == Some(0) && shown.contains(&key) && !shown.contains("31337"), "{shown}");
    let (code, shown) = output(&world, &["dead-letters", "show", "m-1", "--body"]).await;
    assert!(code == Some(0) && shown.contains("31337"), "{shown}");
    assert_eq!(output(&world, &["dead-letters", "show", "m-2"]).await.0, Some(1));

    bury(&backend, "cmd-buried").await;
    let redriven = output(&world, &["dead-letters", "redrive", "cmd-buried"]).await;
    assert_eq!(redriven, (Some(0), "1 published again\n".to_owned()));
    let answer = backend.answer("get_active_sessions").await;
    assert_eq!(answer["payload"]["_meta"]["command_id"], "cmd-buried", "{answer}");
    assert!(answer["payload"]["result"].is_object(), "{answer}");
    assert_eq!(letters(&world, 1).await[0]["id"], id);

    for everything in ["redrive", "purge"] {
        // It takes an id or a word that means it.
        assert_eq!(output(&world, &["dead-letters", everything]).await.0, Some(2));
    }
    let purged = output(&world, &["dead-letters", "purge", "--all"]).await;
    assert_eq!(purged, (Some(0), "1 thrown away\n".to_owned()));
    letters(&world, 0).await;
}
