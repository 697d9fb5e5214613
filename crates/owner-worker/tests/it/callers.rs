//! Who may send what, and whose a command's id is.

use contracts::{CallerName, Properties};
use owner_worker::CommandOutcome;
use serde_json::{Value, json};
use settings::CallerSettings;
use testkit::Reply;

use crate::support::objects::{session, sessions};
use crate::support::{Message, Options, World, request};

fn caller(entry: Value) -> CallerSettings {
    serde_json::from_value(entry).unwrap()
}

async fn world() -> World {
    let callers = vec![
        caller(json!({"user": "shop", "accounts": "1", "commands": "get_active_sessions"})),
        caller(json!({"user": "admin", "accounts": "*", "commands": "*", "rate": 1})),
    ];
    let world = World::with(Options { callers, ..Options::default() }).await;
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    world
}

/// A command of account 1 under a caller's name.
fn message(user: Option<&str>, command: &str) -> Message {
    let caller = user.and_then(CallerName::new);
    let properties = Properties { caller, ..Properties::default() };
    Message { body: request(command, &json!({})), properties, ..Message::default() }
}

#[tokio::test]
async fn a_caller_without_an_entry_is_refused_and_nothing_is_run() {
    let world = world().await;
    let not_allowed = json!({"code": "not_allowed", "source": "validation", "retriable": false});
    for (user, command, error) in [
        (None, "get_active_sessions", "the message has no user_id"),
        (Some("eve"), "get_active_sessions", "the caller is not known"),
        (Some("shop"), "disconnect_all_websites", "the caller may not send this command"),
        (Some("shop"), "no_such_command", "the caller may not send this command"),
    ] {
        let payload = world.deliver(&message(user, command)).payload().await;
        assert_eq!((&payload["error"], &payload["error_info"]), (&json!(error), &not_allowed));
        assert_eq!(payload["_meta"]["requested_by"], json!(user));
    }
    assert_eq!(world.methods(), Vec::<String>::new());
    let payload = world.deliver(&message(Some("shop"), "get_active_sessions")).payload().await;
    assert_eq!(payload["type"], "get_active_sessions", "{payload}");
    assert_eq!(payload["_meta"]["requested_by"], "shop");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_who_sent_it_first() {
    let world = world().await;
    let mut garbled = message(Some("eve"), "get_active_sessions");
    garbled.body = json!({"userbot_id": 1, "command": "get_active_sessions", "command_id": 5});
    let payload = world.deliver(&garbled).payload().await;
    assert_eq!(payload["error"], "the caller is not known");
    garbled.properties.caller = CallerName::new("admin");
    let outcome = world.deliver(&garbled).outcome().await;
    assert!(matches!(outcome, Some(CommandOutcome::Answered(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_caller_that_sends_too_much_is_busy_and_others_are_not() {
    let world = world().await;
    let admin = message(Some("admin"), "get_active_sessions");
    for _ in 0..10 {
        let payload = world.deliver(&admin).payload().await;
        assert_eq!(payload["type"], "get_active_sessions", "{payload}");
    }
    let payload = world.deliver(&admin).payload().await;
    let info = json!({"code": "busy", "source": "validation", "retriable": true, "retry_after": 1});
    assert_eq!(payload["error_info"], info);
    let redelivered = Message { redelivered: true, ..admin.clone() };
    let shop = message(Some("shop"), "get_active_sessions");
    for message in [redelivered, shop] {
        let payload = world.deliver(&message).payload().await;
        assert_eq!(payload["type"], "get_active_sessions", "{payload}");
    }
    world.clock.advance_ms(1_000);
    let payload = world.deliver(&admin).payload().await;
    assert_eq!(payload["type"], "get_active_sessions", "{payload}");
}

#[tokio::test]
async fn two_callers_with_one_id_in_flight_get_an_answer_each() {
    let world = World::ready().await;
    let held = Reply::object(sessions(&[session(0)])).held();
    world.tdlib.answers("getActiveSessions", vec![held]);
    world.tdlib.answer(
        "getConnectedWebsites",
        Reply::object(json!({
        "@type": "connectedWebsites", "websites": []})),
    );
    let of = |user, command| {
        let mut message = message(Some(user), command);
        message.body["command_id"] = json!("c-1");
        message
    };
    let first = world.deliver(&of("shop", "get_active_sessions"));
    world.tdlib.seen("getActiveSessions").await;
    let other = world.deliver(&of("bank", "get_connected_websites")).payload().await;
    assert_eq!(other["type"], "get_connected_websites", "{other}");
    assert_eq!(other["_meta"]["requested_by"], "bank");
    let conflict = world.deliver(&of("shop", "get_connected_websites"));
    assert_eq!(conflict.error().await, "command_id was used for another command");
    world.tdlib.release("getActiveSessions");
    let first = first.payload().await;
    assert_eq!(
        (&first["type"], &first["_meta"]["requested_by"]),
        (&json!("get_active_sessions"), &json!("shop"))
    );
}
