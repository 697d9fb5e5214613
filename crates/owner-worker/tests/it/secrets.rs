//! Secrets are kept nowhere: not in a pending list, and not in an event.

use contracts::Flow;
use owner_worker::CommandOutcome;
use serde_json::{Value, json};
use testkit::Reply;

use crate::support::{Message, Options, World, request};

fn message(id: &str, command: &str, fields: &Value) -> Message {
    let mut body = request(command, fields);
    body["command_id"] = json!(id);
    Message { body, ..Message::default() }
}

fn ttl(id: &str) -> Message {
    message(id, "set_inactive_session_ttl", &json!({"inactive_session_ttl_days": 1}))
}

fn start(id: &str) -> Message {
    message(id, "start", &json!({"phone": "+15550100"}))
}

/// A world in which TDLib does not answer the first write yet.
async fn blocked() -> World {
    let world = World::ready().await;
    world.tdlib.answers("setInactiveSessionTtl", vec![Reply::ok().held(), Reply::ok()]);
    let ready = json!({"@type": "authorizationStateReady"});
    world.tdlib.answer("getAuthorizationState", Reply::object(ready));
    world
}

#[tokio::test]
async fn a_slow_lane_keeps_one_command_with_a_secret_and_answers_the_others_busy() {
    let world = blocked().await;
    let first = world.deliver(&ttl("w-1"));
    world.tdlib.seen("setInactiveSessionTtl").await;
    let mut kept = world.deliver(&start("p-1"));
    let waiting = world.deliver(&start("p-2"));
    world.clock.advance_ms(3_000);
    assert_eq!(first.outcome().await, Some(CommandOutcome::Pending));
    let busy = waiting.payload().await;
    assert_eq!(busy["error_info"]["code"], "busy", "{busy}");
    assert_eq!(busy["error_info"]["retriable"], true);
    let late = world.deliver(&start("p-3")).payload().await;
    assert_eq!(late["error_info"]["code"], "busy", "{late}");
    assert_eq!(world.deliver(&ttl("w-2")).outcome().await, Some(CommandOutcome::Pending));
    assert!(kept.waits());
    assert_eq!(world.log.pending(Flow::Hi), ["w-1", "w-2"]);
    world.tdlib.release("setInactiveSessionTtl");
    let answer = kept.payload().await;
    assert_eq!(answer["result"]["state"], "ready", "{answer}");
}

#[tokio::test]
async fn after_a_crash_nothing_of_a_secret_is_in_the_log() {
    let world = blocked().await;
    let first = world.deliver(&ttl("w-1"));
    world.tdlib.seen("setInactiveSessionTtl").await;
    let nested = json!({"method": "getMe", "params": {"x": [{"password": "hush"}]}});
    let raw = world.deliver(&message("p-1", "call_tdlib", &nested));
    // Not on the list of methods: refused at once, and not kept either.
    assert_eq!(raw.error().await, "getMe is not allowed");
    let lost = world.deliver(&start("p-2"));
    world.clock.advance_ms(3_000);
    assert_eq!(first.outcome().await, Some(CommandOutcome::Pending));
    let world = world.crash();
    assert_eq!(lost.outcome().await, None, "it is left to redelivery");
    assert_eq!(world.log.pending(Flow::Hi), ["w-1"]);
}

#[tokio::test]
async fn a_command_with_a_secret_waits_two_minutes_at_most() {
    let world = blocked().await;
    world.deliver(&ttl("w-1"));
    world.tdlib.seen("setInactiveSessionTtl").await;
    let mut patient = start("p-1");
    patient.body["_meta"] = json!({"deadline": "2026-11-18T23:00:00Z"});
    let mut waiting = world.deliver(&patient);
    world.clock.advance_ms(119_000);
    assert!(waiting.waits());
    world.clock.advance_ms(1_000);
    let expired = waiting.payload().await;
    assert_eq!(expired["error_info"]["code"], "expired", "{expired}");
    assert!(world.log.kept_for(1, "p-1").unwrap().as_secs() <= 12 * 60);
}

fn login_message(chat: i64) -> Value {
    json!({"@type": "message", "id": 7, "chat_id": chat, "content": {"@type": "messageText",
        "text": {"@type": "formattedText", "text": "Login code: 54321. Do not share."}}})
}

/// The texts of account 1's `updateNewMessage`, and of a `getMessage`, for the service chat and for
/// another one.
async fn texts(show_service_codes: bool) -> Vec<Value> {
    let options =
        Options { call_tdlib_methods: &["getMessage"], show_service_codes, ..Options::default() };
    let world = World::with(options).await;
    world.tdlib.answer("confirmSession", Reply::ok());
    world.result("confirm_session", &json!({"session_id": 5})).await;
    let client = world.tdlib.seen("confirmSession").await.client_id;
    let mut texts = Vec::new();
    for chat in [777_000, 5] {
        let update = json!({"@type": "updateNewMessage", "message": login_message(chat)});
        world.tdlib.update(client, &update);
        let its = |result: &Value| result["message"]["chat_id"] == chat;
        let event = world.log.next(1, "updateNewMessage", its).await;
        texts.push(event["result"]["message"]["content"]["text"]["text"].clone());
        world.tdlib.answers("getMessage", vec![Reply::object(login_message(chat))]);
        let result = world.result("call_tdlib", &json!({"method": "getMessage"})).await;
        texts.push(result["content"]["text"]["text"].clone());
    }
    texts
}

#[tokio::test]
async fn login_codes_in_telegram_s_own_chat_are_masked_unless_the_settings_show_them() {
    let (plain, masked) = ("Login code: 54321. Do not share.", "Login code: •••••. Do not share.");
    assert_eq!(texts(false).await, [masked, masked, plain, plain]);
    assert_eq!(texts(true).await, [plain; 4]);
}
