//! Who sent a command: AMQP's `user_id`.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::support::{Backend, World, routing_key};

/// Adds a RabbitMQ user that may do anything but sign as another one, and connects as that user.
async fn connect_as(world: &World, user: &str) -> Backend {
    world.rabbit.ctl(["add_user", user, "secret"]);
    world.rabbit.ctl(["set_permissions", user, ".*", ".*", ".*"]);
    let uri = world.rabbit.uri().replace("guest:guest", &format!("{user}:secret"));
    let mut backend = Backend::connect(&uri, &world.redis.uri()).await;
    backend.listen(1).await;
    backend
}

/// Publishes a command of account 1 under the name of the connection's user.
async fn send_as(backend: &Backend, user: &str, command: &str, fields: Value, id: &str) {
    let properties = BasicProperties::default().with_user_id(user.into());
    send(backend, properties, command, fields, id).await;
}

async fn send(
    backend: &Backend,
    properties: BasicProperties,
    command: &str,
    fields: Value,
    id: &str,
) {
    let mut body = json!({"command": command, "userbot_id": 1, "command_id": id});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    backend.publish(&routing_key(1, command), body.to_string().as_bytes(), properties).await;
}

fn requested_by(event: &Value) -> &Value {
    &event["payload"]["_meta"]["requested_by"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_id_belongs_to_its_caller() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    let shop = connect_as(&world, "shop").await;
    let bank = connect_as(&world, "bank").await;

    send_as(&shop, "shop", "get_active_sessions", json!({}), "c-1").await;
    let first = backend.answer("get_active_sessions").await;
    assert_eq!(requested_by(&first), "shop");
    assert_eq!(first["payload"]["_meta"]["command_id"], "c-1");

    // The same id of another caller, and of nobody, with other content: neither gets the first answer,
    // and neither is refused.
    send_as(&bank, "bank", "get_connected_websites", json!({}), "c-1").await;
    let other = backend.answer("get_connected_websites").await;
    assert!(other["payload"]["result"].is_object(), "{other}");
    assert_eq!(requested_by(&other), "bank");
    backend.send(1, "get_blocked_users", json!({}), Some("c-1")).await;
    let anonymous = backend.answer("get_blocked_users").await;
    assert!(anonymous["payload"]["result"].is_object(), "{anonymous}");
    assert_eq!(*requested_by(&anonymous), Value::Null);

    // The first caller's own copy still gets the first answer, and no second event.
    let (queue, mut replies) = shop.reply_queue().await;
    let properties =
        BasicProperties::default().with_user_id("shop".into()).with_reply_to(queue.as_str().into());
    send(&shop, properties, "get_active_sessions", json!({}), "c-1").await;
    let reply = futures_util::StreamExt::next(&mut replies).await.unwrap().unwrap();
    let reply: Value = serde_json::from_slice(&reply.data).unwrap();
    assert_eq!(reply, first);
    let answers = backend.answers(1, 5).await;
    assert_eq!(answers.len(), 5, "the login's two, and one for each caller: {answers:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_installation_s_own_are_not_believed_from_others() {
    let (_world, _worker, mut backend) = World::logged_in(1).await;
    let forged = |extra: &[(&str, AMQPValue)]| {
        let mut headers = FieldTable::default();
        for name in ["x-tdfleet-expired", "x-tdfleet-forwarded"] {
            headers.insert(name.into(), AMQPValue::Boolean(true));
        }
        headers.insert("x-tdfleet-caller".into(), AMQPValue::LongString("bank".into()));
        for (name, value) in extra {
            headers.insert((*name).into(), value.clone());
        }
        BasicProperties::default().with_headers(headers)
    };
    let code = AMQPValue::LongString("0".repeat(32).into());
    for (number, extra) in [vec![], vec![("x-tdfleet-mac", code)]].iter().enumerate() {
        let id = format!("c-{number}");
        send(&backend, forged(extra), "get_active_sessions", json!({}), &id).await;
        let answer = backend.answer("get_active_sessions").await;
        assert!(answer["payload"]["result"].is_object(), "{answer}");
        assert_eq!(*requested_by(&answer), Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_stream_says_who_had_what_run_and_nothing_secret() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    let shop = connect_as(&world, "shop").await;
    send_as(&shop, "shop", "get_active_sessions", json!({}), "c-1").await;
    backend.answer("get_active_sessions").await;
    send_as(&shop, "shop", "call_tdlib", json!({"method": "getMe"}), "c-2").await;
    backend.answer("call_tdlib").await;

    let (code, text) = world.output(&["audit"]).await;
    assert_eq!(code, Some(0), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| ["caller", "command", "outcome"].map(|name| line[name].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            [None, Some("start"), Some("ok")],
            [None, Some("send_code"), Some("ok")],
            [Some("shop"), Some("get_active_sessions"), Some("ok")],
            [Some("shop"), Some("call_tdlib"), Some("not_allowed")],
        ]
    );
    assert!(lines.iter().all(|line| line["account"] == 1 && line["digest"].is_string()));
    assert_eq!(lines[2]["command_id"], "c-1");
    let phone = world.sandbox.phone(1).replace('+', "");
    for secret in [phone.as_str(), &world.sandbox.code(1), "getMe"] {
        assert!(!text.contains(secret), "{text}");
    }
    let since = lines[2]["at"].as_str().unwrap();
    let (_, some) =
        world.output(&["audit", "--caller", "shop", "--account", "1", "--since", since]).await;
    assert_eq!(some.lines().count(), 2, "{some}");
    assert_eq!(world.output(&["audit", "--account", "2"]).await, (Some(0), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_callers_of_the_settings_may_send_and_only_what_they_may() {
    let world = World::start(1).await;
    let path = world.write_settings(
        "[[callers]]\nuser = \"guest\"\naccounts = \"*\"\ncommands = \"*\"\n\
         [[callers]]\nuser = \"shop\"\naccounts = \"1-5\"\ncommands = \"get_active_sessions\"\ntenant = \"north\"\n",
    );
    let _worker = world.tdfleet(&["--config", &path, "worker"], &[]);
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    let shop = connect_as(&world, "shop").await;
    for (command, secret) in [
        ("start", json!({"phone": world.sandbox.phone(1)})),
        ("send_code", json!({"code": world.sandbox.code(1)})),
    ] {
        send_as(&backend, "guest", command, secret, command).await;
        let answer = backend.answer(command).await;
        assert!(answer["payload"]["result"].is_object(), "{answer}");
    }

    send_as(&shop, "shop", "get_active_sessions", json!({}), "c-1").await;
    let answer = backend.answer("get_active_sessions").await;
    assert!(answer["payload"]["result"].is_object(), "{answer}");
    let calls = world.sandbox.count_calls(None, Some("account.resetWebAuthorizations"));
    send_as(&shop, "shop", "disconnect_all_websites", json!({}), "c-2").await;
    backend.send(1, "disconnect_all_websites", json!({}), Some("c-3")).await;
    for error in ["the caller may not send this command", "the message has no user_id"] {
        let refused = backend.answer("disconnect_all_websites").await;
        assert_eq!(refused["payload"]["error"], error);
        assert_eq!(refused["payload"]["error_info"]["code"], "not_allowed");
    }
    let after = world.sandbox.count_calls(None, Some("account.resetWebAuthorizations"));
    assert_eq!(after, calls);

    // tdfleet's own client sends under the name of its connection's user.
    let sent = world.output(&["send", "1", "get_active_sessions"]).await;
    assert_eq!(sent.0, Some(0), "{}", sent.1);
    let (_, text) =
        world.tdfleet(&["--config", &path, "audit", "--caller", "shop"], &[]).output().await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines.iter().all(|line| line["tenant"] == "north"), "{text}");
}
