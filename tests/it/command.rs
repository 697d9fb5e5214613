use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::support::{World, routing_key};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_live_and_in_the_log() {
    let (_world, _worker, mut backend) = World::logged_in(1).await;

    let body = br#"{"action": "get_active_sessions", "userbot_id": 1}"#;
    let key = routing_key(1, "get_active_sessions");
    backend.publish(&key, body, BasicProperties::default()).await;
    let event = backend.answer("get_active_sessions").await;

    assert_eq!((&event["type"], &event["userbot_id"]), (&json!("chat_update"), &json!(1)));
    let sessions = event["payload"]["result"]["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{event}");
    let (current, other): (Vec<&Value>, Vec<&Value>) =
        sessions.iter().partition(|session| session["is_current"] == true);
    assert_eq!((&current[0]["id"], &current[0]["device_model"]), (&json!("0"), &json!("tdfleet")));
    assert_eq!(event["payload"]["result"]["other_sessions"], json!(other));

    let id = event["payload"]["_meta"]["event_id"].as_str().unwrap();
    let log = backend.log(1).await;
    let (_, stored) = log.iter().find(|(entry, _)| entry == id).expect("the event is in the log");
    assert_eq!(*stored, event);
    for pair in log.windows(2) {
        assert_eq!(
            pair[1].1["payload"]["_meta"]["prev"], pair[0].0,
            "each event names its predecessor"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_reported_step_by_step_without_its_secrets() {
    let world = World::start(1).await;
    let mut worker = world.worker();
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;

    let wrong = backend.call(1, "send_code", json!({"code": "54321"})).await;
    assert_eq!(wrong["payload"]["error"], "account is not ready: wait_phone");
    backend.call(1, "start", json!({"phone": world.sandbox.phone(1)})).await;
    let wrong = backend.call(1, "send_code", json!({"code": "54321"})).await;
    assert_eq!(wrong["payload"]["error"], "PHONE_CODE_INVALID");
    assert_eq!(wrong["payload"]["error_info"]["tdlib_code"], 400);
    let unready = backend.call(1, "get_active_sessions", json!({})).await;
    assert_eq!(unready["payload"]["error"], "account is not ready: wait_code");
    assert_eq!(unready["payload"]["error_info"]["code"], "not_ready");
    backend.call(1, "send_code", json!({"code": world.sandbox.code(1)})).await;
    backend.logged(1, 1, |event| event["payload"]["type"] == "authorized").await;

    let log = backend.log(1).await;
    let kinds: Vec<_> =
        log.iter().map(|(_, event)| event["payload"]["type"].as_str().unwrap()).collect();
    let count = |kind| kinds.iter().filter(|found| **found == kind).count();
    assert_eq!((count("code_required"), count("authorized")), (1, 1), "{kinds:?}");
    let states: Vec<_> = log
        .iter()
        .filter(|(_, event)| event["payload"]["type"] == "account_state")
        .map(|(_, event)| event["payload"]["result"]["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["starting", "wait_phone", "wait_code", "ready"]);

    worker.terminate();
    assert!(worker.ended().await.success());
    let phone = world.sandbox.phone(1).replace('+', "");
    for secret in ["54321", world.sandbox.code(1).as_str(), phone.as_str(), world.sandbox.secret()]
    {
        assert!(!worker.log().contains(secret), "the log contains a secret:\n{}", worker.log());
        let published = log.iter().any(|(_, event)| event.to_string().contains(secret));
        assert!(!published, "an event contains the secret {secret}");
    }
}
