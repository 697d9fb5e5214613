use std::time::Duration;

use sandbox::SandboxOptions;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_key_is_bound_and_works() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let mut user = rig.client("pfs").await;
    let option =
        json!({"name": "use_pfs", "value": {"@type": "optionValueBoolean", "value": true}});
    user.call("setOption", option).await.unwrap();
    user.log_in(&rig.sandbox, 1).await;
    rig.sandbox.wait_for_calls(None, Some("auth.bindTempAuthKey"), 1).await;
    let bindings = rig.sandbox.calls(None, Some("auth.bindTempAuthKey"));
    assert!(bindings.iter().all(|call| call.outcome == "ok"), "{bindings:?}");
    let answer = user.call("getActiveSessions", json!({})).await.unwrap();
    assert_eq!(answer["sessions"].as_array().unwrap().len(), 2);
    user.close().await;
    let mut again = rig.client("pfs").await;
    again.state("authorizationStateReady").await;
    again.call("getActiveSessions", json!({})).await.unwrap();
    again.close().await;
    assert!(rig.sandbox.hot_loops().is_empty());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_redirected_to_the_home_data_centre_of_the_account() {
    let rig = Rig::start(SandboxOptions::default()).await;
    rig.sandbox.set_home(1, 4);
    let user = rig.log_in(1).await;
    let outcomes: Vec<String> = rig
        .sandbox
        .calls(Some(1), Some("auth.sendCode"))
        .into_iter()
        .map(|call| call.outcome)
        .collect();
    assert_eq!(outcomes, ["303 PHONE_MIGRATE_4", "ok"]);
    let answer = user.call("getActiveSessions", json!({})).await.unwrap();
    assert_eq!(answer["sessions"].as_array().unwrap().len(), 2);
    rig.sandbox.wait_for_calls(None, Some("auth.importAuthorization"), 1).await;
    user.call("getActiveSessions", json!({})).await.unwrap();
    assert!(rig.sandbox.hot_loops().is_empty());
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_runs_twice_loses_its_session() {
    let rig = Rig::start(SandboxOptions { accounts: 2, ..SandboxOptions::default() }).await;
    rig.log_in(1).await.close().await;
    let other = rig.log_in(2).await;
    rig.copy("account-1", "twin");
    let mut first = rig.client("account-1").await;
    first.state("authorizationStateReady").await;
    assert!(rig.sandbox.duplicates().is_empty());
    let mut twin = rig.client("twin").await;
    first.state("authorizationStateClosed").await;
    twin.state("authorizationStateClosed").await;
    assert_eq!(rig.sandbox.duplicates(), [Some(1)]);
    other.call("getActiveSessions", json!({})).await.unwrap();
    other.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_reconnects_and_restarts_is_not_a_duplicate() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let mut user = rig.log_in(1).await;
    for _ in 0..3 {
        rig.sandbox.drop_connections(None);
        user.call("getActiveSessions", json!({})).await.unwrap();
        user.close().await;
        user = rig.client("account-1").await;
        user.state("authorizationStateReady").await;
        user.call("getActiveSessions", json!({})).await.unwrap();
    }
    assert!(rig.sandbox.duplicates().is_empty());
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_can_connect_by_socks5() {
    let socks = Some("127.0.0.1:0".parse().unwrap());
    let rig = Rig::start(SandboxOptions { socks, ..SandboxOptions::default() }).await;
    let address = rig.sandbox.socks_address().unwrap();
    let kind = json!({"@type": "proxyTypeSocks5", "username": "", "password": ""});
    let mut user = rig.client_through("socks", address, kind).await;
    user.log_in(&rig.sandbox, 1).await;
    user.call("getActiveSessions", json!({})).await.unwrap();
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_may_be_given_without_padding() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let secret = rig.sandbox.secret().trim_start_matches("dd").to_owned();
    let kind = json!({"@type": "proxyTypeMtproto", "secret": secret});
    let mut user = rig.client_through("plain", rig.sandbox.address(), kind).await;
    user.log_in(&rig.sandbox, 1).await;
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_kept_its_state_knows_its_clients_again() {
    let state = tempfile::tempdir().unwrap();
    let options = || SandboxOptions {
        accounts: 2,
        state: Some(state.path().join("state")),
        ..SandboxOptions::default()
    };
    let mut rig = Rig::start(options()).await;
    let user = rig.log_in(2).await;
    let before = user.call("getActiveSessions", json!({})).await.unwrap();
    let (address, secret) = (rig.sandbox.address(), rig.sandbox.secret().to_owned());
    rig.sandbox.stop().await;
    rig.sandbox = sandbox::start(SandboxOptions { listen: address, ..options() }).await.unwrap();
    assert_eq!(rig.sandbox.secret(), secret);
    let after = user.call("getActiveSessions", json!({})).await.unwrap();
    let count = |answer: &Value| answer["sessions"].as_array().unwrap().len();
    assert_eq!((count(&before), count(&after)), (2, 2));
    user.close().await;
    // The library still trusts the new sandbox, so that others can log in.
    rig.log_in(1).await.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_messages_arrives_complete_and_in_order() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let mut user = rig.log_in(1).await;
    let sent = rig.sandbox.stream_messages(1, 200, Duration::from_secs(1)).await;
    assert!((150..=200).contains(&sent), "{sent}");
    for number in 1..=sent {
        let update = user.update(|update| update["@type"] == "updateNewMessage").await;
        let text = &update["message"]["content"]["text"]["text"];
        assert_eq!(text, &format!("message {number}"));
    }
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_data_centre_sends_no_client_outside() {
    let rig = Rig::start(SandboxOptions::default()).await;
    // Where the patched library looks for other data centres; the stock one asks dns.google.
    let recovery = TcpListener::bind("127.0.0.1:443").await.unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kind = json!({"@type": "proxyTypeMtproto", "secret": rig.sandbox.secret()});
    let user = rig.client_through("lost", silent.local_addr().unwrap(), kind).await;
    let (_stream, _) = silent.accept().await.unwrap();
    let (_asked, from) =
        tokio::time::timeout(Duration::from_mins(1), recovery.accept()).await.unwrap().unwrap();
    assert!(from.ip().is_loopback());
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_update_can_be_pushed() {
    let rig = Rig::start(SandboxOptions { accounts: 2, ..SandboxOptions::default() }).await;
    let (one, two) = (rig.log_in(1).await, rig.log_in(2).await);
    // A client that gets `updatesTooLong` requests its difference.
    let asked = |account| rig.sandbox.count_calls(Some(account), Some("updates.getDifference"));
    let before = (asked(1), asked(2));
    assert!(rig.sandbox.push(1, &0xe317_af7e_u32.to_le_bytes()));
    assert!(!rig.sandbox.push(1, b"none"));
    rig.sandbox.wait_for_calls(Some(1), Some("updates.getDifference"), before.0 + 1).await;
    assert_eq!(asked(2), before.1);
    one.close().await;
    two.close().await;
    rig.stop().await;
}
