//! The states in which an account stays until someone acts: each says why, and a command leads out.

use serde_json::{Value, json};

use crate::support::{Backend, World};

/// The result of the next `account_state` event with this state.
async fn state(backend: &mut Backend, state: &str) -> Value {
    let event = backend
        .live_event(|event| {
            let payload = &event["payload"];
            payload["type"] == "account_state" && payload["result"]["state"] == state
        })
        .await;
    event["payload"]["result"].clone()
}

/// Logs account 1 in by a number of the sandbox's; its state before was a latched one.
async fn log_in(world: &World, backend: &mut Backend) {
    world.log_in(backend, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_without_an_account_waits_for_registration() {
    let world = World::start(1).await;
    let _worker = world.worker();
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    let started = backend.call(1, "start", json!({"phone": "+79990001234"})).await;
    assert_eq!(started["payload"]["result"]["state"], "wait_code", "{started}");
    let given = backend.call(1, "send_code", json!({"code": "01234"})).await;
    assert_eq!(given["payload"]["result"], json!({"state": "wait_registration"}), "{given}");
    let unready = backend.call(1, "get_active_sessions", json!({})).await;
    assert_eq!(unready["payload"]["error"], "account is not ready: wait_registration");
    log_in(&world, &mut backend).await;
    let sessions = backend.call(1, "get_active_sessions", json!({})).await;
    assert!(sessions["payload"]["result"]["sessions"].is_array(), "{sessions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_is_told_with_its_reason_and_a_login_follows_once_it_is_lifted() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    world.sandbox.ban(1, true);
    let banned = state(&mut backend, "banned").await;
    assert_eq!(banned["reason"], "USER_DEACTIVATED_BAN", "{banned}");
    let unready = backend.call(1, "get_active_sessions", json!({})).await;
    assert_eq!(unready["payload"]["error"], "account is not ready: banned");
    let info = json!({"code": "not_ready", "source": "ownership", "retriable": false,
        "details": {"reason": "USER_DEACTIVATED_BAN"}});
    assert_eq!(unready["payload"]["error_info"], info);

    let refused = backend.call(1, "start", json!({"phone": world.sandbox.phone(1)})).await;
    assert_eq!(refused["payload"]["error"], "PHONE_NUMBER_BANNED", "{refused}");
    world.sandbox.ban(1, false);
    log_in(&world, &mut backend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_ended_elsewhere_is_lost_for_a_reason() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    let account = world.sandbox.account(&world.sandbox.phone(1)).unwrap();
    let own = account.sessions().into_iter().find(|one| one.device_model == "tdfleet").unwrap();
    account.revoke(own.hash);
    let lost = state(&mut backend, "session_lost").await;
    assert_eq!(lost["reason"], "SESSION_REVOKED", "{lost}");
    let unready = backend.call(1, "get_active_sessions", json!({})).await;
    let info = json!({"code": "not_ready", "source": "ownership", "retriable": false,
        "details": {"reason": "SESSION_REVOKED"}});
    assert_eq!(unready["payload"]["error_info"], info);
    log_in(&world, &mut backend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_deleted_is_banned_with_that_reason() {
    let (world, _worker, mut backend) = World::logged_in(1).await;
    let deleted = sandbox::Fault::error(401, "USER_DEACTIVATED").account(1).times(1);
    world.sandbox.inject(deleted);
    backend.send(1, "get_active_sessions", json!({}), None).await;
    let banned = state(&mut backend, "banned").await;
    assert_eq!(banned["reason"], "USER_DEACTIVATED", "{banned}");
}
