//! Users and groups known to an account.

use sandbox::{Peer, SandboxOptions};
use serde_json::json;

use crate::support::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn contacts_strangers_and_groups_have_their_details() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    let contacts = user.call("getContacts", json!({})).await.unwrap();
    assert_eq!(contacts["total_count"], 3);
    let id = account.contacts()[0].0;
    let contact = user.call("getUser", json!({"user_id": id})).await.unwrap();
    assert_eq!((&contact["first_name"], &contact["is_contact"]), (&json!("Anna"), &json!(true)));
    let full = user.call("getUserFullInfo", json!({"user_id": id})).await.unwrap();
    assert_eq!(full["group_in_common_count"], 2);
    let found = user.call("searchPublicChat", json!({"username": "stranger_1"})).await.unwrap();
    let stranger = user.call("getUser", json!({"user_id": found["id"]})).await.unwrap();
    assert_eq!(stranger["is_contact"], false);
    let nobody = user.call("searchPublicChat", json!({"username": "nobody_at_all"})).await;
    assert_eq!(nobody, Err((400, "USERNAME_NOT_OCCUPIED".to_owned())));
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_list_has_the_chats_of_the_account() {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    let mut loaded = Ok(json!({}));
    while loaded.is_ok() {
        loaded = user.call("loadChats", json!({"limit": 20})).await;
    }
    assert_eq!(loaded, Err((404, "Not Found".to_owned())));
    let chats = user.call("getChats", json!({"limit": 20})).await.unwrap();
    let chats: Vec<i64> = serde_json::from_value(chats["chat_ids"].clone()).unwrap();
    let mut expected = vec![account.user().0, account.contacts()[0].0];
    expected.extend(account.groups().into_iter().map(Peer::tdlib_chat_id));
    for chat in &expected {
        assert!(chats.contains(chat), "{chat} of {chats:?}");
    }
    assert_eq!(chats.len(), expected.len());
    for group in account.groups() {
        let chat = user.call("getChat", json!({"chat_id": group.tdlib_chat_id()})).await.unwrap();
        let info = &chat["type"];
        let info = if let Peer::Group(_) = group {
            let id = json!({"basic_group_id": info["basic_group_id"]});
            user.call("getBasicGroupFullInfo", id).await.unwrap()
        } else {
            let id = &info["supergroup_id"];
            let page = json!({"supergroup_id": id, "filter": null, "offset": 0, "limit": 10});
            user.call("getSupergroupMembers", page).await.unwrap()
        };
        let members = &info["members"];
        assert_eq!(members.as_array().unwrap().len(), 4, "{members}");
    }
    user.close().await;
    rig.stop().await;
}
