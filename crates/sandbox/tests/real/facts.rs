//! Behaviour of libtdjson that its callers must know, shown by the calls that Telegram receives.

use sandbox::{AccountHandle, BlockList, Fault, Peer, SandboxOptions};
use serde_json::{Value, json};

use crate::support::{Rig, User};

async fn start() -> (Rig, AccountHandle, User) {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    user.call("getContacts", json!({})).await.unwrap();
    (rig, account, user)
}

/// Puts the account's first contact on a list, or removes it.
async fn set_list(user: &User, account: &AccountHandle, list: Option<&str>) {
    let sender = json!({"@type": "messageSenderUser", "user_id": account.contacts()[0].0});
    let list = list.map_or(Value::Null, |list| json!({"@type": list}));
    let call = json!({"sender_id": sender, "block_list": list});
    user.call("setMessageSenderBlockList", call).await.unwrap();
}

async fn total(user: &User, list: &str) -> Value {
    let page = json!({"block_list": {"@type": list}, "offset": 0, "limit": 100});
    user.call("getBlockedMessageSenders", page).await.unwrap()["total_count"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_telegram_refuses_is_reported_as_done() {
    let (rig, account, user) = start().await;
    rig.sandbox.inject(Fault::error(400, "PEER_ID_INVALID").method("contacts.block"));
    set_list(&user, &account, Some("blockListMain")).await;
    rig.sandbox.wait_for_calls(Some(1), Some("contacts.block"), 1).await;
    assert_eq!(total(&user, "blockListMain").await, 0);
    assert!(account.blocked(BlockList::Main).is_empty());
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_block_is_not_sent_again() {
    let (rig, account, user) = start().await;
    let chat = json!({"user_id": account.contacts()[0].0, "force": false});
    user.call("createPrivateChat", chat).await.unwrap();
    // A pending answer would overwrite TDLib's state.
    user.call("getUserFullInfo", json!({"user_id": account.contacts()[0].0})).await.unwrap();
    set_list(&user, &account, Some("blockListMain")).await;
    rig.sandbox.wait_for_calls(Some(1), Some("contacts.block"), 1).await;
    set_list(&user, &account, Some("blockListMain")).await;
    assert_eq!(total(&user, "blockListMain").await, 1);
    assert_eq!(rig.sandbox.count_calls(Some(1), Some("contacts.block")), 1);
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unblocking_leaves_the_stories_list_alone() {
    let (rig, account, user) = start().await;
    let contact = Peer::User(account.contacts()[0]);
    set_list(&user, &account, Some("blockListStories")).await;
    rig.sandbox.wait_for_calls(Some(1), Some("contacts.block"), 1).await;
    set_list(&user, &account, None).await;
    assert_eq!(total(&user, "blockListStories").await, 1);
    assert_eq!(account.blocked(BlockList::Stories), [contact]);
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_sent_again_after_a_restart() {
    let (rig, account, user) = start().await;
    let silent = rig.sandbox.inject(Fault::no_answer().method("contacts.block"));
    set_list(&user, &account, Some("blockListMain")).await;
    rig.sandbox.wait_for_calls(Some(1), Some("contacts.block"), 1).await;
    user.close().await;
    assert!(account.blocked(BlockList::Main).is_empty());
    rig.sandbox.remove_fault(silent);
    let mut again = rig.client("account-1").await;
    again.state("authorizationStateReady").await;
    rig.sandbox.wait_for_calls(Some(1), Some("contacts.block"), 2).await;
    assert_eq!(total(&again, "blockListMain").await, 1);
    again.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_global_settings_set_at_once_one_is_lost() {
    let (rig, account, user) = start().await;
    let slow = Fault::delay(std::time::Duration::from_millis(300));
    rig.sandbox.inject(slow.method("account.setGlobalPrivacySettings"));
    let dates = json!({"settings": {"@type": "readDatePrivacySettings", "show_read_date": false}});
    let archive = json!({"settings": {
        "@type": "archiveChatListSettings", "archive_and_mute_new_chats_from_unknown_users": true,
    }});
    let (dates, archive) = tokio::join!(
        user.call("setReadDatePrivacySettings", dates),
        user.call("setArchiveChatListSettings", archive),
    );
    dates.unwrap();
    archive.unwrap();
    let global = account.global_privacy();
    assert!(global.hide_read_marks != global.archive_and_mute_new, "{global:?}");
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_who_accepts_messages_are_sent_together() {
    let rig = Rig::start(SandboxOptions { accounts: 3, ..SandboxOptions::default() }).await;
    for account in [2, 3] {
        let other = rig.log_in(account).await;
        let settings = json!({
            "@type": "newChatPrivacySettings", "allow_new_chats_from_unknown_users": false,
        });
        other.call("setNewChatPrivacySettings", json!({"settings": settings})).await.unwrap();
        other.close().await;
    }
    let user = rig.log_in(1).await;
    let mut ids = Vec::new();
    for username in ["account_2", "account_3"] {
        let chat = user.call("searchPublicChat", json!({"username": username})).await.unwrap();
        ids.push(chat["id"].clone());
    }
    let ask =
        |id: &Value| user.call("canSendMessageToUser", json!({"user_id": id, "only_local": false}));
    let (one, other) = tokio::join!(ask(&ids[0]), ask(&ids[1]));
    for answer in [one, other] {
        let restricted = "canSendMessageToUserResultUserRestrictsNewChats";
        assert_eq!(answer.unwrap()["@type"], restricted);
    }
    assert_eq!(rig.sandbox.count_calls(Some(1), Some("users.getRequirementsToContact")), 1);
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_settings_are_sent_again_after_a_restart_and_the_bio_is_not() {
    let (rig, _, user) = start().await;
    let writes = [
        ("account.updateProfile", "setBio", json!({"bio": "7"}), 1),
        ("account.setAccountTTL", "setAccountTtl", json!({"ttl": {"days": 77}}), 2),
    ];
    let slow = Fault::delay(std::time::Duration::from_mins(1));
    for (method, name, fields, _) in &writes {
        rig.sandbox.inject(slow.clone().method(method));
        let called = rig.sandbox.wait_for_calls(Some(1), Some(method), 1);
        tokio::select! {
            answer = user.call(name, fields.clone()) => panic!("{answer:?}"),
            () = called => {}
        }
    }
    user.close().await;
    let again = rig.client("account-1").await;
    rig.sandbox.wait_for_calls(Some(1), Some("account.setAccountTTL"), 2).await;
    for (method, _, _, times) in &writes {
        assert_eq!(rig.sandbox.count_calls(Some(1), Some(method)), *times, "{method}");
    }
    again.close().await;
    rig.stop().await;
}
