//! What leaves for Telegram is paced, for each account and kind of commands.

use serde_json::{Value, json};
use settings::PacingSettings;
use testkit::Reply;

use crate::support::objects::{session, sessions};
use crate::support::{Options, World, request};

/// Two reads and one write at once, then hardly any.
async fn world() -> World {
    let pacing = PacingSettings {
        reads_per_minute: 1,
        reads_burst: 2,
        writes_per_minute: 1,
        writes_burst: 1,
        ..PacingSettings::fastest()
    };
    let call_tdlib_methods = &["testSquareInt"];
    let world = World::with(Options { pacing, call_tdlib_methods, ..Options::default() }).await;
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok());
    world
}

fn read() -> Value {
    request("get_active_sessions", &json!({}))
}

#[tokio::test]
async fn a_command_that_someone_waits_for_is_told_how_long_the_account_is_busy() {
    let world = world().await;
    for _ in 0..2 {
        assert_eq!(world.submit(&read()).payload().await["type"], "get_active_sessions");
    }
    let payload = world.submit(&read()).payload().await;
    assert_eq!(payload["error"], "the account sends too much to Telegram");
    let info = &payload["error_info"];
    assert_eq!((&info["code"], &info["retriable"]), (&json!("busy"), &json!(true)));
    let wait = info["retry_after"].as_u64().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(world.sent("getActiveSessions").len(), 2);

    // Other kinds, other accounts, and what TDLib answers itself are not affected.
    world.result("set_inactive_session_ttl", &json!({"inactive_session_ttl_days": 7})).await;
    let other = json!({"command": "get_active_sessions", "userbot_id": 2});
    assert_eq!(world.submit(&other).payload().await["type"], "get_active_sessions");
    let number = Reply::object(json!({"@type": "testInt", "value": 49}));
    world.tdlib.answer("testSquareInt", number);
    let square = json!({"method": "testSquareInt", "params": {"x": 7}});
    for _ in 0..5 {
        world.result("call_tdlib", &square).await;
    }
}

#[tokio::test]
async fn a_bulk_command_waits_for_its_turn_until_its_deadline() {
    let world = world().await;
    let write = |days: i64| {
        request("set_inactive_session_ttl", &json!({"inactive_session_ttl_days": days}))
    };
    world.submit_bulk(&write(1)).payload().await;
    let mut body = write(2);
    body["_meta"] = json!({"deadline": "2026-11-18T11:06:50Z"});
    let mut waits = world.submit_bulk(&body);
    // The other flow goes on.
    assert_eq!(world.submit(&read()).payload().await["type"], "get_active_sessions");
    assert!(waits.waits());
    world.clock.advance_ms(10_000);
    assert_eq!(waits.payload().await["error_info"]["code"], "expired");
    assert_eq!(world.sent("setInactiveSessionTtl").len(), 1);
}

#[tokio::test]
async fn a_bulk_command_runs_once_its_turn_has_come() {
    let pacing =
        PacingSettings { reads_per_minute: 600, reads_burst: 1, ..PacingSettings::fastest() };
    let world = World::with(Options { pacing, ..Options::default() }).await;
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    let answers: Vec<_> = (0..3).map(|_| world.submit_bulk(&read())).collect();
    for answer in answers {
        assert_eq!(answer.payload().await["type"], "get_active_sessions");
    }
}

#[tokio::test]
async fn reads_beyond_the_number_in_flight_wait_in_their_lane() {
    let pacing = PacingSettings { reads_in_flight: 2, ..PacingSettings::fastest() };
    let world = World::with(Options { pacing, ..Options::default() }).await;
    let listed = Reply::object(sessions(&[session(0)]));
    world.tdlib.answer("getActiveSessions", listed.clone().held());
    let reads: Vec<_> = (0..5).map(|_| world.submit(&read())).collect();
    for _ in 0..2 {
        world.tdlib.seen("getActiveSessions").await;
    }
    let other = json!({"command": "get_active_sessions", "userbot_id": 2});
    let other = world.submit(&other);
    world.tdlib.seen("getActiveSessions").await;
    assert_eq!(world.sent("getActiveSessions").len(), 3, "two, and one of the other account");
    world.tdlib.answer("getActiveSessions", listed);
    world.tdlib.release("getActiveSessions");
    for answer in reads.into_iter().chain([other]) {
        assert_eq!(answer.payload().await["type"], "get_active_sessions");
    }
}

#[tokio::test]
async fn a_command_of_many_calls_counts_as_many() {
    let world = world().await;
    let result = json!({"@type": "canSendMessageToUserResultOk"});
    world.tdlib.answer("canSendMessageToUser", Reply::object(result));
    let ids = |ids: &[i64]| json!({"user_ids": ids});
    world.result("can_send_messages_to_users", &ids(&[1, 2])).await;
    let payload = world.failure("can_send_messages_to_users", &ids(&[1])).await;
    assert_eq!(payload["error_info"]["code"], "busy");
}
