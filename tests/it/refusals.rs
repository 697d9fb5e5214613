//! Invalid and refused commands: each gets exactly one answer, and the worker carries on.

use std::time::Duration;

use lapin::BasicProperties;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Backend, PATIENCE, World, routing_key};

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_message_gets_one_answer_and_does_no_harm() {
    let (_world, _worker, mut backend) = World::logged_in(1).await;

    let key = routing_key(1, "get_active_sessions");
    let strange = routing_key(1, "make_coffee");
    let code = routing_key(1, "send_code");
    let cases: &[(&str, &str, &str, &str)] = &[
        (&key, r#"{"userbot_id": 1}"#, "command is required", "get_active_sessions"),
        (
            &key,
            r#"{"action": 5, "userbot_id": 1}"#,
            "action must be a string",
            "get_active_sessions",
        ),
        (
            &key,
            r#"{"action": "get_active_sessions"}"#,
            "userbot_id is required",
            "get_active_sessions",
        ),
        (
            &key,
            r#"{"action": "get_active_sessions", "userbot_id": "1"}"#,
            "userbot_id must be an integer",
            "get_active_sessions",
        ),
        (
            &key,
            r#"{"action": "get_active_sessions", "userbot_id": 77}"#,
            "userbot_id does not match the routing key",
            "get_active_sessions",
        ),
        (
            &strange,
            r#"{"action": "make_coffee", "userbot_id": 1}"#,
            "Unsupported command: make_coffee",
            "make_coffee",
        ),
        (
            &key,
            r#"{"action": "get_active_sessions", "userbot_id": 1, "colour": "red"}"#,
            "unknown field: colour",
            "get_active_sessions",
        ),
        (&code, r#"{"action": "send_code", "userbot_id": 1}"#, "code is required", "send_code"),
        (
            &code,
            r#"{"action": "send_code", "userbot_id": 1, "code": 12345}"#,
            "code must be a string",
            "send_code",
        ),
        (
            &code,
            r#"{"action": "send_code", "userbot_id": 1, "code": "12345"}"#,
            "account is not ready: ready",
            "send_code",
        ),
        (
            &key,
            r#"{"action": "get_active_sessions", "userbot_id": 1, "_meta": {"deadline": "2020-01-01T00:00:00Z"}}"#,
            "the deadline passed before the command was run",
            "get_active_sessions",
        ),
        (
            &key,
            r#"{"action": "get_active_sessions", "userbot_id": 1, "_meta": {"expected_owner_epoch": 1}}"#,
            "the account's owner has epoch ",
            "get_active_sessions",
        ),
    ];
    for (number, (key, body, error, command)) in cases.iter().enumerate() {
        let id = format!("case-{number}");
        let properties = BasicProperties::default()
            .with_message_id(id.as_str().into())
            .with_correlation_id("mine".into());
        backend.publish(key, body.as_bytes(), properties).await;
        let event = backend.answer(command).await;
        let payload = &event["payload"];
        let text = payload["error"].as_str().unwrap_or_default();
        assert!(text.starts_with(error), "{body}\n{event}");
        assert_eq!(payload["type"], format!("{command}_error"), "{event}");
        assert_eq!(payload["_meta"]["command_id"], id, "{event}");
        assert_eq!(payload["_meta"]["correlation_id"], "mine", "{event}");
        assert!(payload.get("result").is_none() && payload["error_info"]["code"].is_string());
    }
    let answer = backend.call(1, "get_active_sessions", json!({})).await;
    assert!(answer["payload"]["result"].is_object(), "the worker still works: {answer}");
    let answers = backend.answers(1, cases.len()).await;
    let answered = answers.iter().filter(|event| is_case(event)).count();
    assert_eq!(answered, cases.len(), "one answer each: {answers:#?}");
    assert_eq!(backend.keys("tdfleet:{77}:").await, 0, "the log of the other account is untouched");
}

fn is_case(event: &Value) -> bool {
    let id = event["payload"]["_meta"]["command_id"].as_str();
    id.is_some_and(|id| id.starts_with("case-"))
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_answered_and_kept_as_a_dead_letter_with_its_reason() {
    let world = World::start(1).await;
    let _worker = world.worker();
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    let (queue, mut replies) = backend.reply_queue().await;

    let body = br#"{"action": "block_user", "user_id": 24680, oops"#;
    let properties = || {
        BasicProperties::default()
            .with_message_id("garbled".into())
            .with_reply_to(queue.as_str().into())
    };
    backend.publish(&routing_key(1, "block_user"), body, properties()).await;
    let event = backend.answer("block_user").await;
    let error = "command is not valid JSON at line 1 column 44";
    assert_eq!(event["payload"]["error"], error, "{event}");
    assert_eq!(Backend::next_reply(&mut replies).await, event);

    // The routing key of this one names no account.
    backend.publish("nowhere", b"?", properties()).await;
    let reply = Backend::next_reply(&mut replies).await;
    assert!(reply["payload"]["error"].is_string(), "{reply}");

    let mut kept = Vec::new();
    let all = async {
        while kept.len() < 2 {
            match backend.take("tdfleet.dead-letters").await {
                Some(letter) => kept.push(letter),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(PATIENCE, all).await.expect("two dead letters");
    let garbled = kept.iter().find(|(_, kept)| kept == body).expect("the garbled command");
    let reason = |properties: &BasicProperties| {
        let headers = properties.headers().as_ref().expect("headers");
        let reason = headers.inner().get("x-tdfleet-reason").expect("a reason");
        reason.as_long_string().expect("a text").to_string()
    };
    assert_eq!(reason(&garbled.0), error);
    assert!(kept.iter().any(|(_, body)| body == b"?"), "the one without an account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_with_a_wrong_shard_is_forwarded_and_answered() {
    let (_world, _worker, mut backend) = World::logged_in(1).await;
    let (queue, mut replies) = backend.reply_queue().await;

    let body = br#"{"action": "get_active_sessions", "userbot_id": 1}"#;
    let right = routing_key(1, "get_active_sessions");
    let shard: u16 = right[8..11].parse().unwrap();
    let wrong = format!("cmd_hi.s{:03}.acc.1.get_active_sessions", (shard + 1) % 4);
    let properties = BasicProperties::default()
        .with_message_id("lost".into())
        .with_reply_to(queue.as_str().into());
    backend.publish(&wrong, body, properties).await;
    let event = backend.answer("get_active_sessions").await;
    assert!(event["payload"]["result"].is_object(), "{event}");
    assert_eq!(event["payload"]["_meta"]["command_id"], "lost");
    assert_eq!(Backend::next_reply(&mut replies).await, event);
}
