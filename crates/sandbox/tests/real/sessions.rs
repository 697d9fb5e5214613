//! The sessions of an account, seen from two of them.

use std::time::Duration;

use sandbox::{AccountHandle, SandboxOptions};
use serde_json::{Value, json};

use crate::support::{Rig, User};

/// A sandbox with one account and two clients logged in to it.
async fn two_sessions() -> (Rig, AccountHandle, User, User) {
    let rig = Rig::start(SandboxOptions::default()).await;
    let first = rig.log_in(1).await;
    let mut second = rig.client("second").await;
    second.log_in(&rig.sandbox, 1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    (rig, account, first, second)
}

async fn end(rig: Rig, users: impl IntoIterator<Item = User>) {
    for user in users {
        user.close().await;
    }
    rig.stop().await;
}

async fn sessions(user: &User) -> Vec<Value> {
    let answer = user.call("getActiveSessions", json!({})).await.unwrap();
    answer["sessions"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_login_is_announced_to_the_other_session_which_confirms_it() {
    let (rig, account, mut first, second) = two_sessions().await;
    let news = first.update(|update| update["@type"] == "updateUnconfirmedSession").await;
    let id = news["session"]["id"].clone();
    assert_eq!(news["session"]["device_model"], "Sandbox Test");
    assert!(account.sessions()[2].is_unconfirmed);
    first.call("confirmSession", json!({"session_id": id})).await.unwrap();
    assert!(!account.sessions()[2].is_unconfirmed);
    end(rig, [first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_terminated_elsewhere_logs_itself_out() {
    let (rig, account, first, mut second) = two_sessions().await;
    let hash = account.sessions()[2].hash.to_string();
    first.call("terminateSession", json!({"session_id": hash})).await.unwrap();
    second.state("authorizationStateLoggingOut").await;
    second.state("authorizationStateClosed").await;
    assert_eq!(account.sessions().len(), 2);
    end(rig, [first]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_other_sessions_end_at_once() {
    let (rig, account, first, mut second) = two_sessions().await;
    first.call("terminateAllOtherSessions", json!({})).await.unwrap();
    second.state("authorizationStateClosed").await;
    assert_eq!(account.sessions().len(), 1);
    assert_eq!(sessions(&first).await.len(), 1);
    end(rig, [first]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_session_must_not_end_others_when_telegram_says_so() {
    let (rig, account, first, second) = two_sessions().await;
    account.protect_from_fresh_sessions(Duration::from_hours(24));
    let refused = second.call("terminateAllOtherSessions", json!({})).await;
    assert_eq!(refused, Err((406, "FRESH_RESET_AUTHORISATION_FORBIDDEN".to_owned())));
    assert_eq!(account.sessions().len(), 3);
    end(rig, [first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_can_refuse_calls_and_secret_chats() {
    let (rig, account, first, second) = two_sessions().await;
    let old = account.sessions()[0].hash.to_string();
    let calls = json!({"session_id": old, "can_accept_calls": false});
    first.call("toggleSessionCanAcceptCalls", calls).await.unwrap();
    let own = json!({"session_id": "0", "can_accept_secret_chats": false});
    first.call("toggleSessionCanAcceptSecretChats", own).await.unwrap();
    let [old, own, _] = &account.sessions()[..] else { panic!("three sessions") };
    assert_eq!((old.accepts_calls, old.accepts_secret_chats), (false, true));
    assert_eq!((own.accepts_calls, own.accepts_secret_chats), (true, false));
    let listed = sessions(&first).await;
    let old = listed.iter().find(|session| session["device_model"] == "Old Phone").unwrap();
    assert_eq!(old["can_accept_calls"], false);
    let unknown = json!({"session_id": "99", "can_accept_calls": false});
    let refused = first.call("toggleSessionCanAcceptCalls", unknown).await;
    assert_eq!(refused, Err((400, "HASH_INVALID".to_owned())));
    end(rig, [first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_to_live_are_stored() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    let days = json!({"inactive_session_ttl_days": 30});
    user.call("setInactiveSessionTtl", days).await.unwrap();
    let ttl = json!({"ttl": {"@type": "accountTtl", "days": 90}});
    user.call("setAccountTtl", ttl).await.unwrap();
    let time =
        json!({"message_auto_delete_time": {"@type": "messageAutoDeleteTime", "time": 86_400}});
    user.call("setDefaultMessageAutoDeleteTime", time).await.unwrap();
    let kept = (account.session_ttl_days(), account.account_ttl_days(), account.history_ttl_s());
    assert_eq!(kept, (30, 90, 86_400));
    assert_eq!(user.call("getAccountTtl", json!({})).await.unwrap()["days"], 90);
    let time = user.call("getDefaultMessageAutoDeleteTime", json!({})).await.unwrap();
    assert_eq!(time["time"], 86_400);
    end(rig, [user]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connected_websites_are_listed_and_disconnected() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    let answer = user.call("getConnectedWebsites", json!({})).await.unwrap();
    assert_eq!(answer["websites"][0]["domain_name"], "site.example");
    let id = answer["websites"][0]["id"].clone();
    user.call("disconnectWebsite", json!({"website_id": id})).await.unwrap();
    assert!(account.websites().is_empty());
    let again = user.call("disconnectWebsite", json!({"website_id": id})).await;
    assert_eq!(again, Err((400, "HASH_INVALID".to_owned())));
    user.call("disconnectAllWebsites", json!({})).await.unwrap();
    end(rig, [user]).await;
}
