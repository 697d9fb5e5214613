//! Writes run alone and in order, reads in parallel; nothing overtakes a late answer.

use std::time::Duration;

use owner_worker::CommandOutcome;
use serde_json::{Value, json};
use testkit::Reply;

use crate::support::objects::{blocked, session, sessions};
use crate::support::{Options, World, authorization, request};

fn read() -> Value {
    request("get_active_sessions", &json!({}))
}

fn write(days: i64) -> Value {
    request("set_inactive_session_ttl", &json!({"inactive_session_ttl_days": days}))
}

fn listed() -> Reply {
    Reply::object(sessions(&[session(0)]))
}

#[tokio::test]
async fn reads_run_in_parallel_and_a_write_runs_alone() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", listed().held());
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok().held());
    let reads = [world.submit(&read()), world.submit(&read())];
    let mut write = world.submit(&write(7));
    let late = world.submit(&read());
    for _ in 0..2 {
        world.tdlib.seen("getActiveSessions").await;
    }
    assert_eq!(world.methods(), ["getActiveSessions"; 2]);
    assert_eq!(world.tdlib.release("getActiveSessions"), 2);
    for read in reads {
        read.payload().await;
    }
    world.tdlib.seen("setInactiveSessionTtl").await;
    assert!(write.waits());
    assert_eq!(world.methods().len(), 3, "the read after the write waits");
    world.tdlib.release("setInactiveSessionTtl");
    write.payload().await;
    world.tdlib.seen("getActiveSessions").await;
    world.tdlib.release("getActiveSessions");
    late.payload().await;
}

#[tokio::test]
async fn writes_keep_their_order() {
    let world = World::ready().await;
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok());
    let answers: Vec<_> = (1..=50).map(|days| world.submit(&write(days))).collect();
    for answer in answers {
        answer.payload().await;
    }
    let days: Vec<_> = world.sent("setInactiveSessionTtl");
    let days: Vec<_> = days.iter().map(|one| one["inactive_session_ttl_days"].as_i64()).collect();
    assert_eq!(days, (1..=50).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn flows_do_not_wait_for_each_other_but_writers_of_one_resource_do() {
    let world = World::ready().await;
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok().held());
    world.tdlib.answer("setMessageSenderBlockList", Reply::ok());
    world.tdlib.answer("getBlockedMessageSenders", Reply::object(blocked(1, &[5])));
    let first = world.submit(&write(1));
    world.tdlib.seen("setInactiveSessionTtl").await;
    let mut second = world.submit_bulk(&write(2));
    let other = world.submit_bulk(&request("get_blocked_users", &json!({})));
    let account_2 = world.submit(&json!({"command": "block_user", "userbot_id": 2, "user_id": 5}));
    account_2.payload().await;
    assert!(second.waits());
    assert_eq!(world.sent("setInactiveSessionTtl").len(), 1);
    world.tdlib.release("setInactiveSessionTtl");
    first.payload().await;
    world.tdlib.seen("setInactiveSessionTtl").await;
    world.tdlib.release("setInactiveSessionTtl");
    second.payload().await;
    other.payload().await;
}

#[tokio::test]
async fn writers_of_different_resources_do_not_wait_across_flows() {
    let world = World::ready().await;
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok().held());
    world.tdlib.answer("setMessageSenderBlockList", Reply::ok());
    world.tdlib.answer("getBlockedMessageSenders", Reply::object(blocked(1, &[5])));
    let mut first = world.submit(&write(1));
    world.submit_bulk(&request("block_user", &json!({"user_id": 5}))).payload().await;
    assert!(first.waits());
    world.tdlib.release("setInactiveSessionTtl");
    first.payload().await;
}

#[tokio::test]
async fn a_writer_that_does_not_get_its_resource_in_time_expires_and_changes_nothing() {
    let world = World::ready().await;
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok().held());
    let first = world.submit(&write(1));
    world.tdlib.seen("setInactiveSessionTtl").await;
    let mut body = write(2);
    body["_meta"] = json!({"deadline": "2026-11-18T11:06:40.050Z"});
    let payload = world.submit_bulk(&body).payload().await;
    assert_eq!(payload["error_info"]["code"], "expired");
    world.tdlib.release("setInactiveSessionTtl");
    first.payload().await;
    assert_eq!(world.sent("setInactiveSessionTtl").len(), 1);
}

#[tokio::test]
async fn a_late_answer_holds_the_lane_and_the_resource() {
    let timeout = Duration::from_millis(50);
    let world = World::with(Options { timeout, ..Options::default() }).await;
    world.tdlib.answers("setInactiveSessionTtl", vec![Reply::ok().held(), Reply::ok()]);
    let payload = world.submit(&write(1)).payload().await;
    assert_eq!(payload["error_info"]["code"], "outcome_unknown");
    let mut same_lane = world.submit(&write(2));
    let mut same_thing = world.submit_bulk(&write(3));
    world.tdlib.answer("getActiveSessions", listed());
    let other = json!({"command": "get_active_sessions", "userbot_id": 2});
    world.submit(&other).payload().await;
    assert!(same_lane.waits() && same_thing.waits());
    assert_eq!(world.sent("setInactiveSessionTtl").len(), 1);
    assert_eq!(world.tdlib.release("setInactiveSessionTtl"), 1);
    same_lane.payload().await;
    same_thing.payload().await;
}

#[tokio::test]
async fn a_lane_goes_on_after_an_answer_that_never_comes() {
    let short = Duration::from_millis(50);
    let options = Options { timeout: short, late_timeout: short, ..Options::default() };
    let world = World::with(options).await;
    world.tdlib.answers("setInactiveSessionTtl", vec![Reply::silent(), Reply::ok()]);
    let (lost, next) = (world.submit(&write(1)), world.submit(&write(2)));
    assert_eq!(lost.payload().await["error_info"]["code"], "outcome_unknown");
    assert_eq!(next.payload().await["type"], "set_inactive_session_ttl");
}

#[tokio::test]
async fn an_answer_without_its_request_is_no_event() {
    let world = World::closed(&Options::default());
    let ready = Reply::ok().then_update(authorization("authorizationStateReady"));
    world.tdlib.answer("setTdlibParameters", ready);
    world.open_account(1).await;
    let client = world.tdlib.seen("setTdlibParameters").await.client_id;
    world.log.next(1, "account_state", |result| result["state"] == "ready").await;
    let error = json!({"@type": "error", "code": 400, "message": "Failed to parse"});
    world.tdlib.update(client, &error);
    world.tdlib.update(client, &json!({"@type": "ok"}));
    let after = json!({"@type": "updateFromTheFuture", "x": 1});
    world.tdlib.update(client, &after);
    world.log.next(1, "updateFromTheFuture", |_| true).await;
    let kinds: Vec<_> = world.log.events(1).iter().map(|event| event["type"].clone()).collect();
    assert!(!kinds.contains(&json!("error")) && !kinds.contains(&json!("ok")), "{kinds:?}");
}

#[tokio::test]
async fn commands_wait_while_the_account_is_starting() {
    let world = World::closed(&Options::default());
    world.tdlib.answer("setTdlibParameters", Reply::silent());
    world.tdlib.answer("getActiveSessions", listed());
    world.open().await;
    let (mut first, mut second) = (world.submit(&read()), world.submit(&read()));
    let client = world.tdlib.seen("setTdlibParameters").await.client_id;
    let other = world.tdlib.seen("setTdlibParameters").await.client_id;
    assert!(first.waits() && second.waits());
    for client in [client, other] {
        world.tdlib.update(client, &authorization("authorizationStateReady"));
    }
    assert_eq!(first.payload().await["type"], "get_active_sessions");
    assert_eq!(second.payload().await["type"], "get_active_sessions");
}

#[tokio::test]
async fn a_queued_command_expires_at_its_deadline() {
    let world = World::closed(&Options::default());
    world.tdlib.answer("setTdlibParameters", Reply::silent());
    world.open().await;
    let mut body = read();
    body["_meta"] = json!({"deadline": "2026-11-18T11:06:50Z"});
    let (with_deadline, without) = (world.submit(&body), world.submit(&read()));
    world.clock.advance_ms(10_000);
    assert_eq!(with_deadline.payload().await["error_info"]["code"], "expired");
    assert_eq!(without.outcome().await, Some(CommandOutcome::Pending), "an hour has not passed");
    world.clock.advance_ms(3_600_000);
    let late = |event: &Value| event["_meta"]["occurred_at"] == "2026-11-18T12:06:50.000Z";
    let expired = world.log.next_event(1, "get_active_sessions_error", late).await;
    assert_eq!(expired["error_info"]["code"], "expired");
}

#[tokio::test]
async fn nothing_is_dispatched_while_the_log_is_down() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", listed());
    world.log.set_up(false);
    let mut waits = world.submit(&read());
    let refused = world.submit(&request("get_active_sessions", &json!({"x": 1})));
    assert!(waits.waits());
    assert_eq!(world.methods(), Vec::<String>::new());
    world.log.set_up(true);
    assert_eq!(refused.error().await, "unknown field: x");
    waits.payload().await;
}

#[tokio::test]
async fn a_command_for_a_full_lane_is_rejected_as_busy() {
    let world = World::ready().await;
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok().held());
    let first = world.submit(&write(1));
    world.tdlib.seen("setInactiveSessionTtl").await;
    let mut answers: Vec<_> = (0..=10_000).map(|_| world.submit(&read())).collect();
    let payload = answers.pop().unwrap().payload().await;
    let busy = json!({"code": "busy", "source": "ownership", "retriable": true});
    assert_eq!(payload["error_info"], busy);
    world.tdlib.answer("getActiveSessions", listed());
    world.tdlib.release("setInactiveSessionTtl");
    first.payload().await;
    for answer in answers {
        answer.payload().await;
    }
}
