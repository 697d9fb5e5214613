//! Opening, login, loss of the session, closing.

use std::time::Duration;

use owner_worker::CommandOutcome;
use serde_json::json;
use testkit::Reply;
use tokio::time::timeout;

use crate::support::objects::{session, sessions};
use crate::support::{Answer, Options, PATIENCE, World, authorization, request};

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_login_by_code_leads_to_ready() {
    let world =
        World::with(Options { state: "authorizationStateWaitPhoneNumber", ..Options::default() })
            .await;
    let states =
        [authorization("authorizationStateWaitCode"), authorization("authorizationStateReady")];
    world.tdlib.answer("setAuthenticationPhoneNumber", Reply::ok().after_update(states[0].clone()));
    world.tdlib.answer("checkAuthenticationCode", Reply::ok().after_update(states[1].clone()));
    let state = |update: &serde_json::Value| Reply::object(update["authorization_state"].clone());
    let before = authorization("authorizationStateWaitPhoneNumber");
    world.tdlib.answers(
        "getAuthorizationState",
        vec![state(&before), state(&states[0]), state(&states[1])],
    );
    let started = world.result("start", &json!({"phone": "+15550100"})).await;
    assert_eq!(started, json!({"state": "wait_code"}));
    let event = world.log.next(1, "code_required", |_| true).await;
    assert_eq!(event["result"]["timeout"], 60);
    assert!(!event.to_string().contains("15550100"));
    let done = world.result("send_code", &json!({"code": "12345"})).await;
    assert_eq!(done, json!({"state": "ready"}));
    world.log.next(1, "authorized", |_| true).await;
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    world.result("get_active_sessions", &json!({})).await;
}

#[tokio::test]
async fn a_lost_session_stays_lost_until_start_reopens_the_account() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", Reply::error(401, "Unauthorized").held());
    let running = world.submit(&request("get_active_sessions", &json!({})));
    let client = world.tdlib.seen("getActiveSessions").await.client_id;
    for state in ["LoggingOut", "Closing", "Closed"] {
        world.tdlib.update(client, &authorization(&format!("authorizationState{state}")));
    }
    let lost = |result: &serde_json::Value| result["state"] == "session_lost";
    world.log.next(1, "account_state", lost).await;
    let payload = running.payload().await;
    assert_eq!(payload["error_info"]["code"], "not_ready", "{payload}");
    let payload = world.failure("get_active_sessions", &json!({})).await;
    assert_eq!(payload["error"], "account is not ready: session_lost");
    assert_eq!(world.sent("setTdlibParameters").len(), 2, "one for each account");

    let wait_phone = authorization("authorizationStateWaitPhoneNumber");
    let wait_code = authorization("authorizationStateWaitCode");
    let opened = Reply::ok().then_update(wait_phone.clone());
    world.tdlib.answer("setTdlibParameters", opened);
    world.tdlib.answer("setAuthenticationPhoneNumber", Reply::ok());
    let state = |update: &serde_json::Value| Reply::object(update["authorization_state"].clone());
    world.tdlib.answers("getAuthorizationState", vec![state(&wait_phone), state(&wait_code)]);
    let started = world.result("start", &json!({"phone": "+15550100"})).await;
    assert_eq!(started, json!({"state": "wait_code"}));
    assert_eq!(world.sent("setTdlibParameters").len(), 3);
}

#[tokio::test]
async fn closing_finishes_running_commands_and_drops_queued_ones() {
    let world = World::ready().await;
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok().held());
    let ttl = |days: i64| {
        request("set_inactive_session_ttl", &json!({"inactive_session_ttl_days": days}))
    };
    let (running, waiting) = (world.submit(&ttl(1)), world.submit(&ttl(2)));
    world.tdlib.seen("setInactiveSessionTtl").await;
    let close = world.close(PATIENCE);
    let answers = async {
        assert_eq!(waiting.outcome().await, None, "left to redelivery");
        assert_eq!(world.sent("close").len(), 0);
        let late = world.submit(&ttl(3));
        assert_eq!(late.outcome().await, None, "left to redelivery");
        world.tdlib.release("setInactiveSessionTtl");
        assert_eq!(running.payload().await["type"], "set_inactive_session_ttl");
    };
    tokio::join!(close, answers);
    assert_eq!(world.sent("close").len(), 1);
    assert_eq!(world.submit(&ttl(4)).outcome().await, None);
    let last = world.log.events(1).pop().unwrap();
    assert_eq!(last["type"], "account_state", "{last}");
}

#[tokio::test]
async fn a_command_that_does_not_finish_in_time_is_left_to_redelivery_only_if_that_is_harmless() {
    let world = World::ready().await;
    world.tdlib.answer("disconnectAllWebsites", Reply::silent());
    world.tdlib.answer("getActiveSessions", Reply::silent());
    let once = world.submit(&request("disconnect_all_websites", &json!({})));
    let read = world.submit_bulk(&request("get_active_sessions", &json!({})));
    world.tdlib.seen("disconnectAllWebsites").await;
    world.tdlib.seen("getActiveSessions").await;
    world.close(SOON).await;
    let payload = once.payload().await;
    assert_eq!(payload["error_info"]["code"], "outcome_unknown");
    assert_eq!(payload["error"], "outcome unknown: the account was closed before TDLib answered");
    assert_eq!(read.outcome().await, None);
}

#[tokio::test]
async fn closing_again_waits_for_the_same_close_and_may_shorten_the_grace() {
    let world = World::ready().await;
    world.tdlib.answer("disconnectAllWebsites", Reply::silent());
    let write = world.submit(&request("disconnect_all_websites", &json!({})));
    world.tdlib.seen("disconnectAllWebsites").await;
    tokio::join!(world.close(Duration::from_hours(1)), world.close(SOON));
    assert_eq!(world.sent("close").len(), 1);
    assert_eq!(write.payload().await["error_info"]["code"], "outcome_unknown");
}

#[tokio::test]
async fn an_account_that_is_waiting_to_open_closes_at_once() {
    let world = World::closed(&Options { opening: 1, ..Options::default() });
    world.tdlib.answer("setTdlibParameters", Reply::silent());
    world.open_account(2).await;
    world.tdlib.seen("setTdlibParameters").await;
    world.open_account(1).await;
    let waiting = world.submit(&request("get_active_sessions", &json!({})));
    world.close(PATIENCE).await;
    assert_eq!(waiting.outcome().await, None);
    assert_eq!(world.sent("setTdlibParameters").len(), 1);
}

#[tokio::test]
async fn a_shard_is_not_opened_before_its_accounts_are_claimed() {
    let world = World::closed(&Options::default());
    world.log.set_up(false);
    assert!(timeout(SOON, world.open()).await.is_err());
    let early = world.submit(&request("get_active_sessions", &json!({})));
    assert_eq!(early.outcome().await, None);
    assert_eq!(world.sent("setTdlibParameters").len(), 0);
}

#[tokio::test]
async fn an_account_can_be_opened_again_after_it_was_closed() {
    let world = World::ready().await;
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    world.close(PATIENCE).await;
    world.open_account(1).await;
    world.result("get_active_sessions", &json!({})).await;
}

#[tokio::test]
async fn an_account_that_tdlib_cannot_open_is_failed() {
    let world = World::closed(&Options::default());
    world.tdlib.answer("setTdlibParameters", Reply::error(401, "Wrong database encryption key"));
    world.open().await;
    world.log.next(1, "account_state", |result| result["state"] == "failed").await;
    let payload = world.failure("get_active_sessions", &json!({})).await;
    assert_eq!(payload["error"], "account is not ready: failed");
    world.close(PATIENCE).await;
}

#[tokio::test]
async fn an_account_that_another_epoch_has_costs_no_other_and_comes_back() {
    let world = World::with(Options { shard_count: 1, ..Options::default() }).await;
    assert_eq!(world.worker.account_count(), 2);
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    world.tdlib.answer("disconnectAllWebsites", Reply::silent());
    let get = request("get_active_sessions", &json!({}));
    let running = world.submit(&request("disconnect_all_websites", &json!({})));
    world.tdlib.seen("disconnectAllWebsites").await;
    world.log.fence_account(1);
    // What runs, what waits behind it, and what is refused by the log.
    let waiting = world.submit(&get);
    for answer in [running, waiting, world.submit_bulk(&get)] {
        not_owned(answer).await;
    }
    world.tdlib.seen("close").await;
    let mut other = get.clone();
    other["userbot_id"] = json!(2);
    world.submit(&other).payload().await;
    assert_eq!(world.worker.account_count(), 1);
    world.log.lift_fence(1);
    world.log.next(1, "resync", |_| true).await;
    world.result("get_active_sessions", &json!({})).await;
    assert_eq!(world.worker.account_count(), 2);
}

async fn not_owned(answer: Answer) {
    let Some(CommandOutcome::NotOwned { reason, event: Some(event) }) = answer.outcome().await
    else {
        panic!("an outcome")
    };
    assert!(reason.starts_with("account is not ready: a newer owner"), "{reason}");
    let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["payload"]["error"], reason);
    assert_eq!(event["payload"]["error_info"]["code"], "not_ready");
}

#[tokio::test]
async fn a_shard_opens_without_the_account_that_another_epoch_has() {
    let world = World::closed(&Options { shard_count: 1, ..Options::default() });
    let ready = Reply::ok().then_update(authorization("authorizationStateReady"));
    world.tdlib.answer("setTdlibParameters", ready);
    world.log.fence_account(1);
    world.open().await;
    world.log.next(2, "account_state", |result| result["state"] == "ready").await;
    not_owned(world.submit(&request("get_active_sessions", &json!({})))).await;
    // Closing does not wait for it.
    world.close(PATIENCE).await;
    assert_eq!(world.sent("setTdlibParameters").len(), 1);
}

#[tokio::test]
async fn a_shard_opens_without_the_account_that_cannot_be_claimed() {
    let world = World::closed(&Options { shard_count: 1, ..Options::default() });
    world.log.hold_claims(1);
    world.open().await;
    assert_eq!(world.worker.account_count(), 1);
    let outcome = world.submit(&request("get_active_sessions", &json!({}))).outcome().await;
    let Some(CommandOutcome::NotOwned { reason, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(reason, "account is not ready: the account's log cannot be claimed");
    world.log.release_claims();
    world.log.next(1, "account_state", |result| result["state"] == "starting").await;
    assert_eq!(world.worker.account_count(), 2);
}

#[tokio::test]
async fn accounts_close_when_their_worker_is_dropped() {
    let world = World::ready().await;
    let tdlib = std::sync::Arc::clone(&world.tdlib);
    drop(world);
    tdlib.seen("close").await;
    tdlib.seen("close").await;
}

#[tokio::test]
async fn start_opens_a_failed_account_again_once_for_each_command() {
    let world = World::closed(&Options::default());
    let wait_phone = authorization("authorizationStateWaitPhoneNumber");
    let refused = Reply::error(401, "Wrong database encryption key");
    let opened = Reply::ok().then_update(wait_phone.clone());
    let wait_code = authorization("authorizationStateWaitCode");
    world.tdlib.answers("setTdlibParameters", vec![refused.clone(), refused, opened]);
    world.open_account(1).await;
    world.log.next(1, "account_state", |result| result["state"] == "failed").await;
    let start = json!({"phone": "+15550100"});
    let payload = world.failure("start", &start).await;
    assert_eq!(payload["error"], "account is not ready: failed");
    assert_eq!(payload["error_info"]["retriable"], false);
    let reason = &payload["error_info"]["details"]["reason"];
    assert_eq!(reason, "TDLib refuses it: Wrong database encryption key");
    assert_eq!(world.sent("setTdlibParameters").len(), 2, "it was tried once more");

    let sent = Reply::ok().then_update(wait_code.clone());
    world.tdlib.answer("setAuthenticationPhoneNumber", sent);
    let state = |update: &serde_json::Value| Reply::object(update["authorization_state"].clone());
    world.tdlib.answers("getAuthorizationState", vec![state(&wait_phone), state(&wait_code)]);
    assert_eq!(world.result("start", &start).await, json!({"state": "wait_code"}));
    assert_eq!(world.sent("setTdlibParameters").len(), 3);
}

#[tokio::test]
async fn a_state_from_the_future_fails_the_account_and_start_leads_out() {
    let future = authorization("authorizationStateFromTheFuture");
    let world = World::closed(&Options::default());
    let opened = Reply::ok().then_update(authorization("authorizationStateReady"));
    world.tdlib.answers("setTdlibParameters", vec![Reply::ok().then_update(future), opened]);
    world.open_account(1).await;
    let failed = world.log.next(1, "account_state", |result| result["state"] == "failed").await;
    assert_eq!(failed["result"]["reason"], "TDLib is in a state that this version does not know");
    world.tdlib.seen("close").await;
    let ready = json!({"@type": "authorizationStateReady"});
    world.tdlib.answer("getAuthorizationState", Reply::object(ready));
    let started = world.result("start", &json!({"phone": "+15550100"})).await;
    assert_eq!(started, json!({"state": "ready"}));
}

#[tokio::test]
async fn a_state_with_nulls_in_it_is_that_state() {
    let world = World::closed(&Options::default());
    world.tdlib.answer("setTdlibParameters", Reply::ok());
    world.open_account(1).await;
    let client = world.tdlib.seen("setTdlibParameters").await.client_id;
    let states = [
        ("authorizationStateWaitRegistration", "terms_of_service", "wait_registration"),
        ("authorizationStateWaitEmailCode", "code_info", "wait_email"),
        ("authorizationStateWaitCode", "code_info", "wait_code"),
    ];
    for (name, field, state) in states {
        let mut update = authorization(name);
        update["authorization_state"][field] = serde_json::Value::Null;
        world.tdlib.update(client, &update);
        world.log.next(1, "account_state", |result| result["state"] == state).await;
    }
    let code = world.log.next(1, "code_required", |_| true).await;
    assert_eq!(code["result"], json!({"type": null, "next_type": null, "timeout": 0}));
}
