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
