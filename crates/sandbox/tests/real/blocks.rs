//! Block lists, seen from two sessions of the account.

use sandbox::{AccountHandle, BlockList, Peer, SandboxOptions, UserId};
use serde_json::{Value, json};

use crate::support::{Rig, User};

async fn start() -> (Rig, AccountHandle, User) {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    user.call("getContacts", json!({})).await.unwrap();
    (rig, account, user)
}

fn sender(user: UserId) -> Value {
    json!({"@type": "messageSenderUser", "user_id": user.0})
}

/// Waits until the number of blocked senders is `wanted`: TDLib answers ok before it has asked
/// Telegram.
async fn blocked(user: &User, list: &str, wanted: u64) -> Value {
    let page = json!({"block_list": {"@type": list}, "offset": 0, "limit": 100});
    for _ in 0..100 {
        let answer = user.call("getBlockedMessageSenders", page.clone()).await.unwrap();
        if answer["total_count"] == wanted {
            return answer;
        }
    }
    panic!("{wanted} senders are not blocked in {list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_user_is_on_that_list_only_and_the_other_session_sees_it() {
    let (rig, account, first) = start().await;
    let mut second = rig.client("second").await;
    second.log_in(&rig.sandbox, 1).await;
    let contact = account.contacts()[0];
    second.call("getContacts", json!({})).await.unwrap();
    second.call("createPrivateChat", json!({"user_id": contact.0})).await.unwrap();
    let block = json!({"sender_id": sender(contact), "block_list": {"@type": "blockListMain"}});
    first.call("setMessageSenderBlockList", block).await.unwrap();
    let listed = blocked(&first, "blockListMain", 1).await;
    assert_eq!(listed["senders"][0], sender(contact));
    assert_eq!(account.blocked(BlockList::Main), [Peer::User(contact)]);
    assert!(account.blocked(BlockList::Stories).is_empty());
    let seen = second.update(|update| update["@type"] == "updateChatBlockList").await;
    assert_eq!(seen["chat_id"], contact.0);
    assert_eq!(seen["block_list"]["@type"], "blockListMain");
    let unblock = json!({"sender_id": sender(contact), "block_list": null});
    first.call("setMessageSenderBlockList", unblock).await.unwrap();
    blocked(&first, "blockListMain", 0).await;
    assert!(account.blocked(BlockList::Main).is_empty());
    let seen = second.update(|update| update["@type"] == "updateChatBlockList").await;
    assert!(seen["block_list"].is_null(), "{seen}");
    first.close().await;
    second.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stories_list_has_its_own_pages() {
    let (rig, account, user) = start().await;
    let contacts = account.contacts();
    for contact in &contacts {
        let list = json!({"@type": "blockListStories"});
        let block = json!({"sender_id": sender(*contact), "block_list": list});
        user.call("setMessageSenderBlockList", block).await.unwrap();
    }
    blocked(&user, "blockListStories", 3).await;
    let page = json!({"block_list": {"@type": "blockListStories"}, "offset": 1, "limit": 1});
    let answer = user.call("getBlockedMessageSenders", page).await.unwrap();
    assert_eq!(answer["total_count"], 3);
    assert_eq!(answer["senders"], json!([sender(contacts[1])]));
    assert!(account.blocked(BlockList::Main).is_empty());
    user.close().await;
    rig.stop().await;
}
