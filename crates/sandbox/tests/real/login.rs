use sandbox::SandboxOptions;
use serde_json::json;

use crate::support::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_logs_in_by_code_and_sees_both_its_sessions() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let answer = user.call("getActiveSessions", json!({})).await.unwrap();
    let sessions = answer["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{answer}");
    let current = sessions.iter().find(|session| session["is_current"] == true).unwrap();
    assert_eq!(current["device_model"], "Sandbox Test");
    assert_eq!(current["application_version"], "7.8.9, TDLib 1.8.61");
    assert!(sessions.iter().any(|session| session["device_model"] == "Old Phone"));
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_is_refused_and_the_right_one_is_still_accepted() {
    let rig = Rig::start(SandboxOptions { accounts: 2, ..SandboxOptions::default() }).await;
    let mut user = rig.client("two").await;
    user.state("authorizationStateWaitPhoneNumber").await;
    let phone = json!({"phone_number": rig.sandbox.phone(2)});
    user.call("setAuthenticationPhoneNumber", phone).await.unwrap();
    user.state("authorizationStateWaitCode").await;
    let wrong = json!({"code": rig.sandbox.code(1)});
    let refused = user.call("checkAuthenticationCode", wrong).await;
    assert_eq!(refused, Err((400, "PHONE_CODE_INVALID".to_owned())));
    let right = json!({"code": rig.sandbox.code(2)});
    user.call("checkAuthenticationCode", right).await.unwrap();
    user.state("authorizationStateReady").await;
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_from_the_same_database_needs_no_code() {
    let rig = Rig::start(SandboxOptions::default()).await;
    rig.log_in(1).await.close().await;
    let mut again = rig.client("account-1").await;
    again.state("authorizationStateReady").await;
    again.call("getActiveSessions", json!({})).await.unwrap();
    again.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_session_is_terminated_by_its_id() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let answer = user.call("getActiveSessions", json!({})).await.unwrap();
    let other = answer["sessions"].as_array().unwrap().iter().find(|s| s["is_current"] == false);
    let id = other.unwrap()["id"].clone();
    user.call("terminateSession", json!({"session_id": id})).await.unwrap();
    let answer = user.call("getActiveSessions", json!({})).await.unwrap();
    assert_eq!(answer["sessions"].as_array().unwrap().len(), 1);
    let again = user.call("terminateSession", json!({"session_id": id})).await;
    assert_eq!(again, Err((400, "HASH_INVALID".to_owned())));
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_the_session_and_the_key() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let mut user = rig.log_in(1).await;
    user.call("logOut", json!({})).await.unwrap();
    user.state("authorizationStateClosed").await;
    let mut again = rig.client("account-1").await;
    again.log_in(&rig.sandbox, 1).await;
    let answer = again.call("getActiveSessions", json!({})).await.unwrap();
    assert_eq!(answer["sessions"].as_array().unwrap().len(), 2);
    again.close().await;
    rig.stop().await;
}
