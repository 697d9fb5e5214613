use std::time::{Duration, Instant};

use sandbox::{Fault, FaultEffect, SandboxOptions};
use serde_json::json;

use crate::support::Rig;

const SESSIONS: &str = "account.getAuthorizations";
/// When it is refused, TDLib calls it again immediately, hundreds of times a second.
const EXPORT: &str = "auth.exportAuthorization";

#[tokio::test(flavor = "multi_thread")]
async fn a_long_flood_wait_reaches_the_caller_with_its_seconds() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    rig.sandbox.inject(Fault::flood_wait(100).account(1).method(SESSIONS).times(1));
    let refused = user.call("getActiveSessions", json!({})).await;
    assert_eq!(refused, Err((429, "Too Many Requests: retry after 100".to_owned())));
    user.call("getActiveSessions", json!({})).await.unwrap();
    let outcomes: Vec<String> =
        rig.sandbox.calls(Some(1), Some(SESSIONS)).into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["420 FLOOD_WAIT_100", "ok"]);
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_flood_wait_is_waited_out_by_tdlib_itself() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    rig.sandbox.inject(Fault::flood_wait(2).method(SESSIONS).times(1));
    let begun = Instant::now();
    user.call("getActiveSessions", json!({})).await.unwrap();
    assert!(Duration::from_secs(2) <= begun.elapsed());
    assert_eq!(rig.sandbox.count_calls(Some(1), Some(SESSIONS)), 2);
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injected_error_is_the_answer_and_affects_one_account_only() {
    let rig = Rig::start(SandboxOptions { accounts: 2, ..SandboxOptions::default() }).await;
    let (one, two) = (rig.log_in(1).await, rig.log_in(2).await);
    rig.sandbox.inject(Fault::error(400, "SOMETHING_INVALID").account(2).method(SESSIONS));
    one.call("getActiveSessions", json!({})).await.unwrap();
    let refused = two.call("getActiveSessions", json!({})).await;
    assert_eq!(refused, Err((400, "SOMETHING_INVALID".to_owned())));
    rig.sandbox.clear_faults();
    two.call("getActiveSessions", json!({})).await.unwrap();
    one.close().await;
    two.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_be_late_or_never_come() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let delay = Duration::from_millis(1500);
    rig.sandbox.inject(Fault::delay(delay).method(SESSIONS).times(1));
    let begun = Instant::now();
    user.call("getActiveSessions", json!({})).await.unwrap();
    assert!(delay <= begun.elapsed());
    rig.sandbox.inject(Fault::no_answer().method(SESSIONS).times(1));
    let silent = user.call("getActiveSessions", json!({}));
    assert!(tokio::time::timeout(Duration::from_secs(2), silent).await.is_err());
    assert_eq!(rig.sandbox.calls(None, Some(SESSIONS))[1].outcome, "no answer");
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_connection_breaks_is_answered_on_the_next_connection() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    for (runs, times) in [(false, 2), (true, 1)] {
        let before = rig.sandbox.count_calls(None, Some(SESSIONS));
        let fault = Fault::new(FaultEffect::Disconnect { runs }).method(SESSIONS).times(1);
        rig.sandbox.inject(fault);
        user.call("getActiveSessions", json!({})).await.unwrap();
        assert_eq!(rig.sandbox.count_calls(None, Some(SESSIONS)) - before, times, "{runs}");
    }
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_survives_dropped_and_refused_connections_and_a_restart() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    assert!(0 < rig.sandbox.drop_connections(Some(1)));
    user.call("getActiveSessions", json!({})).await.unwrap();
    rig.sandbox.refuse_connections().await;
    let pending = user.call("getActiveSessions", json!({}));
    let admitted = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.sandbox.admit_connections().await;
    };
    let (answer, ()) = tokio::join!(pending, admitted);
    answer.unwrap();
    rig.sandbox.restart(Duration::from_millis(100)).await;
    user.call("getActiveSessions", json!({})).await.unwrap();
    assert!(rig.sandbox.hot_loops().is_empty());
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_key_is_lost_is_logged_out() {
    let rig = Rig::start(SandboxOptions { accounts: 2, ..SandboxOptions::default() }).await;
    let (mut one, two) = (rig.log_in(1).await, rig.log_in(2).await);
    // TDLib does not believe that a key younger than a minute is lost.
    rig.sandbox.shift_clock(120);
    one.call("getActiveSessions", json!({})).await.unwrap();
    rig.sandbox.lose_keys(Some(1));
    one.state("authorizationStateClosed").await;
    two.call("getActiveSessions", json!({})).await.unwrap();
    two.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_follows_the_clock_and_uses_new_salts() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    for seconds in [7200, 90_000] {
        rig.sandbox.shift_clock(seconds);
        user.call("getActiveSessions", json!({})).await.unwrap();
    }
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_account_is_logged_out_and_cannot_come_back() {
    let rig = Rig::start(SandboxOptions { accounts: 2, ..SandboxOptions::default() }).await;
    let (mut one, two) = (rig.log_in(1).await, rig.log_in(2).await);
    rig.sandbox.ban(1, true);
    one.state("authorizationStateClosed").await;
    two.call("getActiveSessions", json!({})).await.unwrap();
    let mut again = rig.client("again").await;
    again.state("authorizationStateWaitPhoneNumber").await;
    let phone = json!({"phone_number": rig.sandbox.phone(1)});
    let refused = again.call("setAuthenticationPhoneNumber", phone.clone()).await;
    assert_eq!(refused, Err((400, "PHONE_NUMBER_BANNED".to_owned())));
    rig.sandbox.ban(1, false);
    again.call("setAuthenticationPhoneNumber", phone).await.unwrap();
    again.close().await;
    two.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_account_may_not_write_and_learns_why() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let mut user = rig.log_in(1).await;
    rig.sandbox.freeze(1, true);
    let chat = json!({"user_ids": [], "title": "Late", "message_auto_delete_time": 0});
    let refused = user.call("createNewBasicGroupChat", chat.clone()).await.unwrap_err();
    assert!(refused.1.contains("FROZEN"), "{refused:?}");
    user.update(|update| update["@type"] == "updateFreezeState" && update["is_frozen"] == true)
        .await;
    user.call("getActiveSessions", json!({})).await.unwrap();
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_calls_in_a_loop_is_reported() {
    let rig = Rig::start(SandboxOptions::default()).await;
    rig.sandbox.set_home(1, 2);
    rig.sandbox.inject(Fault::error(400, "DC_ID_INVALID").method(EXPORT));
    let user = rig.log_in(1).await;
    rig.sandbox.wait_for_calls(None, Some(EXPORT), 100).await;
    let found = rig.sandbox.hot_loops();
    assert_eq!((found[0].account, found[0].method), (Some(1), EXPORT));
    rig.sandbox.clear_faults();
    user.close().await;
    rig.stop().await;
}
