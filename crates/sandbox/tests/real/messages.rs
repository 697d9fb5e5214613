//! Messages between accounts.

use sandbox::{Peer, Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::support::{Rig, User};

fn text(chat: &Value, text: &str) -> Value {
    let text = json!({"@type": "formattedText", "text": text});
    json!({"chat_id": chat, "input_message_content": {"@type": "inputMessageText", "text": text}})
}

async fn hears(user: &mut User, words: &str) -> Value {
    user.update(|update| {
        update["@type"] == "updateNewMessage"
            && update["message"]["content"]["text"]["text"] == words
    })
    .await["message"]
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_the_other_account_and_the_senders_other_session() {
    let rig = Rig::start(SandboxOptions { accounts: 2, ..SandboxOptions::default() }).await;
    let (mut one, mut two) = (rig.log_in(1).await, rig.log_in(2).await);
    let mut other = rig.client("other").await;
    other.log_in(&rig.sandbox, 1).await;
    let chat = one.call("searchPublicChat", json!({"username": "account_2"})).await.unwrap();
    one.call("sendMessage", text(&chat["id"], "good day")).await.unwrap();
    one.update(|update| update["@type"] == "updateMessageSendSucceeded").await;
    let received = hears(&mut two, "good day").await;
    let sender = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap().user().0;
    assert_eq!(received["sender_id"]["user_id"], sender);
    assert_eq!(hears(&mut other, "good day").await["is_outgoing"], true);
    let history = json!({
        "chat_id": sender, "from_message_id": 0, "offset": 0, "limit": 10, "only_local": false
    });
    let history = two.call("getChatHistory", history).await.unwrap();
    assert_eq!(history["messages"][0]["content"]["text"]["text"], "good day");
    for user in [one, two, other] {
        user.close().await;
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_receive_messages_and_a_client_catches_up_after_a_restart() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    user.call("loadChats", json!({"limit": 20})).await.unwrap();
    user.close().await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    let contact = account.contacts()[0];
    account.receive(contact, Peer::User(account.user()), "while away");
    let mut user = rig.client("account-1").await;
    user.state("authorizationStateReady").await;
    hears(&mut user, "while away").await;
    for group in account.groups() {
        account.receive(contact, group, "to the group");
        let heard = hears(&mut user, "to the group").await;
        assert_eq!(heard["chat_id"], group.tdlib_chat_id());
    }
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_history_is_deleted_in_the_other_session_too() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let mut other = rig.client("other").await;
    other.log_in(&rig.sandbox, 1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    user.call("loadChats", json!({"limit": 20})).await.unwrap();
    other.call("loadChats", json!({"limit": 20})).await.unwrap();
    let contact = account.contacts()[0];
    let call = json!({"chat_id": contact.0, "remove_from_chat_list": false, "revoke": false});
    user.call("deleteChatHistory", call).await.unwrap();
    other
        .update(|update| {
            update["@type"] == "updateDeleteMessages" && update["chat_id"] == contact.0
        })
        .await;
    assert!(account.messages(Peer::User(contact)).is_empty());
    user.close().await;
    other.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_restarted_sandbox_are_new() {
    let state = tempfile::tempdir().unwrap();
    let options =
        || SandboxOptions { state: Some(state.path().to_owned()), ..SandboxOptions::default() };
    let mut rig = Rig::start(options()).await;
    let mut user = rig.log_in(1).await;
    while user.call("loadChats", json!({"limit": 20})).await.is_ok() {}
    let greet = |sandbox: &Sandbox, words: &str| {
        let account = sandbox.account(&sandbox.phone(1)).unwrap();
        let contact = account.contacts()[0];
        account.receive(contact, Peer::User(account.user()), words);
        account.receive(contact, account.groups()[1], words);
    };
    for words in ["one", "two", "three"] {
        greet(&rig.sandbox, words);
        hears(&mut user, words).await;
        hears(&mut user, words).await;
    }
    let address = rig.sandbox.address();
    rig.sandbox.stop().await;
    rig.sandbox = sandbox::start(SandboxOptions { listen: address, ..options() }).await.unwrap();
    user.call("getActiveSessions", json!({})).await.unwrap();
    greet(&rig.sandbox, "after");
    hears(&mut user, "after").await;
    hears(&mut user, "after").await;
    user.close().await;
    rig.stop().await;
}
