//! What leaves for Telegram is paced.

use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::support::{Backend, World, routing_key};

/// Five reads at once, then one in a minute; ten writes in a second, one at once.
const PACE: [(&str, &str); 4] = [
    ("TDFLEET__PACING__READS_PER_MINUTE", "1"),
    ("TDFLEET__PACING__READS_BURST", "5"),
    ("TDFLEET__PACING__WRITES_PER_MINUTE", "600"),
    ("TDFLEET__PACING__WRITES_BURST", "1"),
];

/// The answers to `number` commands of this name in account 1's log, those of the logins left out.
async fn answers(backend: &mut Backend, name: &str, number: usize) -> Vec<Value> {
    let all = backend.answers(1, number + 2).await;
    let payloads = all.into_iter().map(|event| event["payload"].clone());
    let named = |payload: &Value| {
        let kind = payload["type"].as_str().unwrap();
        kind.strip_suffix("_error").unwrap_or(kind) == name
    };
    payloads.filter(named).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_reads_is_busy_and_never_reaches_telegram() {
    let (world, _worker, mut backend) = World::logged_in_with(1, &["worker"], &PACE).await;
    for _ in 0..20 {
        backend.send(1, "get_active_sessions", json!({}), None).await;
    }
    let answers = answers(&mut backend, "get_active_sessions", 20).await;
    let (busy, results): (Vec<_>, Vec<_>) =
        answers.iter().partition(|payload| payload.get("error").is_some());
    assert!(results.len() >= 5 && !busy.is_empty(), "{} results", results.len());
    for payload in busy {
        let info = &payload["error_info"];
        assert_eq!((&info["code"], &info["retriable"]), (&json!("busy"), &json!(true)));
        assert!((1..=60).contains(&info["retry_after"].as_u64().unwrap()), "{info}");
    }
    let calls = world.sandbox.count_calls(Some(1), Some("account.getAuthorizations"));
    assert_eq!(calls, results.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_writes_wait_for_their_turn() {
    let (world, _worker, mut backend) = World::logged_in_with(1, &["worker"], &PACE).await;
    let command = "set_inactive_session_ttl";
    for days in 1..=5 {
        let key = routing_key(1, command).replace("cmd_hi", "cmd_lo");
        let body = json!({"action": command, "userbot_id": 1, "inactive_session_ttl_days": days});
        let body = body.to_string();
        backend.publish(&key, body.as_bytes(), BasicProperties::default()).await;
    }
    let answers = answers(&mut backend, command, 5).await;
    let days: Vec<_> =
        answers.iter().map(|payload| &payload["result"]["inactive_session_ttl_days"]).collect();
    assert_eq!(json!(days), json!([1, 2, 3, 4, 5]), "in order, and none refused");
    let account = world.sandbox.account(&world.sandbox.phone(1)).unwrap();
    assert_eq!(account.session_ttl_days(), 5);
}
