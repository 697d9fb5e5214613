//! Secrets are kept nowhere, whatever becomes of their command.

use std::time::Duration;

use sandbox::{Fault, Peer, UserId};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::support::World;

const PENDING: &str = "tdfleet:{1}:pending:cmd_hi";
/// Telegram's own account, whose messages hold login codes.
const TELEGRAM: i64 = 777_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_account_keeps_no_command_with_a_secret() {
    let world = World::start(1).await;
    let _worker = world.worker();
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    let phone = world.sandbox.phone(1);
    world.sandbox.inject(Fault::delay(Duration::from_secs(12)).method("auth.sendCode"));

    backend.send(1, "start", json!({"phone": phone}), Some("p-1")).await;
    world.sandbox.wait_for_calls(None, Some("auth.sendCode"), 1).await;
    backend.send(1, "get_active_sessions", json!({}), Some("r-1")).await;
    let kept = async {
        loop {
            let entries = backend.stream(PENDING).await;
            if !entries.is_empty() {
                return entries;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let entries = timeout(Duration::from_secs(30), kept).await.expect("a slow lane");
    let text = format!("{entries:?}");
    assert!(text.contains("r-1") && !text.contains("p-1"), "{text}");
    assert!(!text.contains(phone.trim_start_matches('+')), "{text}");

    backend.send(1, "start", json!({"phone": phone}), Some("p-2")).await;
    let busy = backend.answer("start").await;
    assert_eq!(busy["payload"]["_meta"]["command_id"], "p-2", "{busy}");
    assert_eq!(busy["payload"]["error_info"]["code"], "busy", "{busy}");
    let begun = backend.answer("start").await;
    assert_eq!(begun["payload"]["_meta"]["command_id"], "p-1", "{begun}");
    assert_eq!(begun["payload"]["result"]["state"], "wait_code", "{begun}");
    let unready = backend.answer("get_active_sessions").await;
    assert_eq!(unready["payload"]["error_info"]["code"], "not_ready", "{unready}");
    assert!(backend.stream(PENDING).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_code_that_telegram_sends_as_a_message_is_masked() {
    let methods = ("TDFLEET__WORKER__CALL_TDLIB_METHODS", "getMessage");
    let (world, _worker, mut backend) = World::logged_in_with(1, &["worker"], &[methods]).await;
    let account = world.sandbox.account(&world.sandbox.phone(1)).unwrap();
    account.receive(UserId(TELEGRAM), Peer::User(account.user()), "Login code: 54321. Keep it.");
    let event = backend
        .live_event(|event| event["payload"]["result"]["message"]["chat_id"] == TELEGRAM)
        .await;
    let message = &event["payload"]["result"]["message"];
    let text = |message: &Value| message["content"]["text"]["text"].clone();
    assert_eq!(text(message), "Login code: •••••. Keep it.");
    let params = json!({"chat_id": TELEGRAM, "message_id": message["id"]});
    let read =
        backend.call(1, "call_tdlib", json!({"method": "getMessage", "params": params})).await;
    assert_eq!(text(&read["payload"]["result"]), "Login code: •••••. Keep it.", "{read}");
    let log = backend.log(1).await;
    assert!(log.iter().all(|(_, event)| !event.to_string().contains("54321")));
}
