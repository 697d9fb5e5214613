//! A producer that may publish for account 1 alone, and what it must not achieve.

use std::time::Duration;

use lapin::BasicProperties;
use serde_json::{Value, json};
use test_servers::raw_amqp::{RawProperties, RawPublisher, nested_arrays, text_header};
use tokio::time::{sleep, timeout};

use crate::support::{Backend, World, routing_key};

const COMMAND: &str = "get_active_sessions";

/// The reasons of this many dead letters, sorted.
async fn reasons(world: &World, number: usize) -> Vec<String> {
    let listed = async {
        loop {
            let (_, text) = world.output(&["dead-letters", "list", "--json"]).await;
            let letters: Vec<Value> = serde_json::from_str(&text).unwrap();
            if letters.len() == number {
                let reason = |letter: &Value| letter["reason"].as_str().unwrap().to_owned();
                return letters.iter().map(reason).collect();
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let mut reasons: Vec<String> =
        timeout(Duration::from_secs(30), listed).await.expect("the dead letters");
    reasons.sort();
    reasons
}

/// What a message costs: one answer in the account's log.
async fn refused(backend: &mut Backend, id: &str) -> String {
    let event = backend
        .live_event(|event| {
            let kind = event["payload"]["type"].as_str().unwrap_or_default();
            kind.ends_with("_error")
        })
        .await;
    assert_eq!(event["userbot_id"], 1, "{event}");
    assert_eq!(event["payload"]["error_info"]["code"], "invalid_request", "{event}");
    let answered = &event["payload"]["_meta"]["command_id"];
    assert!(id.is_empty() || answered == id, "{event}");
    event["payload"]["error"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_no_client_library_would_send_costs_one_message() {
    let (world, worker, mut backend) = World::logged_in(2).await;
    let uri = world.rabbit.uri();
    let mut publisher =
        tokio::task::spawn_blocking(move || RawPublisher::connect(&uri)).await.unwrap();
    let body = json!({"command": COMMAND, "userbot_id": 1}).to_string();
    let key = routing_key(1, COMMAND);
    let not_utf8 = "its AMQP properties hold text that is not UTF-8";
    let too_deep = "its AMQP headers are nested more than 8 levels deep";
    let named = |id: &str| RawProperties::default().message_id(id.as_bytes());
    let too_large = "its AMQP properties are larger than 16 KiB";
    let cases = [
        ("m-1", named("m-1").correlation_id(b"\xff"), not_utf8),
        ("m-2", named("m-2").headers(&text_header(b"\xff", b"x")), not_utf8),
        ("", RawProperties::default().message_id(b"\xff\xfe"), not_utf8),
        ("m-3", named("m-3").headers(&nested_arrays(300)), too_deep),
        ("m-4", named("m-4").headers(&nested_arrays(3_200)), too_deep),
        ("m-5", named("m-5").headers(&nested_arrays(26_000)), too_large),
    ];
    let number = cases.len();
    for (id, properties, reason) in cases {
        publisher.publish("tdfleet.commands", key.as_bytes(), properties, body.as_bytes());
        assert_eq!(refused(&mut backend, id).await, reason);
    }
    let binary = [routing_key(1, "").as_bytes(), b"\xff"].concat();
    publisher.publish("tdfleet.commands", &binary, RawProperties::default(), body.as_bytes());

    let reasons = reasons(&world, number + 1).await;
    let expected = |reason: &str| reasons.iter().filter(|found| *found == reason).count();
    assert_eq!((expected(not_utf8), expected(too_deep)), (3, 2), "{reasons:?}");
    assert_eq!(expected("its routing key is not that of a command"), 1, "{reasons:?}");
    for account in [1, 2] {
        let answer = backend.call(account, COMMAND, json!({})).await;
        assert!(answer["payload"]["result"].is_object(), "{answer}");
    }
    assert_eq!(worker.log().matches("connected to RabbitMQ").count(), 1, "never lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_runs_a_command_on_another_account() {
    let (world, _worker, mut backend) = World::logged_in(2).await;
    let body = json!({"command": COMMAND, "userbot_id": 2}).to_string();
    let own = routing_key(1, COMMAND);
    let calls = world.sandbox.count_calls(None, Some("account.getAuthorizations"));
    for key in [format!("{own}.more"), format!("{own}."), "nowhere".to_owned()] {
        backend.publish(&key, body.as_bytes(), BasicProperties::default()).await;
    }
    let reasons = reasons(&world, 3).await;
    assert!(reasons.iter().all(|reason| reason == "its routing key is not that of a command"));
    // One that the key authorises for account 1 is answered there.
    backend.publish(&own, body.as_bytes(), BasicProperties::default()).await;
    assert_eq!(refused(&mut backend, "").await, "userbot_id does not match the routing key");
    let log = backend.log(2).await;
    let answered = |event: &Value| event["payload"]["type"] == format!("{COMMAND}_error");
    assert!(!log.iter().any(|(_, event)| answered(event)), "{log:?}");
    assert_eq!(world.sandbox.count_calls(None, Some("account.getAuthorizations")), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_a_limit_is_answered_once_and_kept() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    let members: Vec<_> = (0..60_000).map(|n| format!(r#""f{n}":1"#)).collect();
    let many = format!(r#"{{"command":"{COMMAND}","userbot_id":1,{}}}"#, members.join(","));
    let parameters = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!(
        r#"{{"command":"call_tdlib","userbot_id":1,"method":"getMe","parameters":{parameters}}}"#
    );
    for (command, body, error) in [
        (COMMAND, &many, "command is larger than 64 KiB"),
        ("call_tdlib", &deep, "command is nested more than 32 levels deep"),
    ] {
        let key = routing_key(1, command);
        let properties = BasicProperties::default().with_message_id(command.into());
        backend.publish(&key, body.as_bytes(), properties).await;
        assert_eq!(refused(&mut backend, command).await, error);
    }
    assert_eq!(reasons(&world, 2).await.len(), 2);
    let far = json!({"_meta": {"deadline": "9999-12-31T23:59:59Z"}});
    let answer = backend.call(1, COMMAND, far).await;
    assert_eq!(answer["payload"]["error"], "_meta.deadline must be at most 24 hours ahead");
    let answer = backend.call(1, COMMAND, json!({"_meta": null})).await;
    assert!(answer["payload"]["result"].is_object(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_where_a_caller_may_not_write() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    let key = routing_key(1, COMMAND);
    let body = json!({"command": COMMAND, "userbot_id": 1}).to_string();
    for queue in ["tdfleet.dead-letters", "tdfleet.cmd_hi.s000.of4", "another-tenant"] {
        let properties = BasicProperties::default().with_reply_to(queue.into());
        backend.publish(&key, body.as_bytes(), properties).await;
        let error = refused(&mut backend, "").await;
        let rule = "reply_to must be amq.rabbitmq.reply-to or a queue whose name begins with";
        assert!(error.starts_with(rule), "{error}");
    }
    assert!(backend.take("tdfleet.dead-letters").await.is_none());

    // An account that does not exist has no keys, no matter who asks.
    let mut replies = backend.reply_queue().await;
    for account in [77, 78] {
        let event = backend.call_for_reply(account, COMMAND, json!({}), &mut replies).await;
        assert_eq!(event["payload"]["error"], format!("unknown account: {account}"), "{event}");
        assert_eq!(event["payload"]["error_info"]["code"], "unknown_account", "{event}");
        assert_eq!(backend.keys(&format!("tdfleet:{{{account}}}:")).await, 0);
    }
    let reasons = reasons(&world, 2).await;
    assert_eq!(reasons, ["unknown account: 77", "unknown account: 78"]);
    assert!(backend.keys("tdfleet:{1}:").await > 0);
}
