use sandbox::{BlockList, Fault, Peer};
use serde_json::{Value, json};

use super::Scene;

const BLOCK: &str = "contacts.block";
const STORIES: &str = "blockListStories";

fn user(id: i64) -> Value {
    json!({"user_id": id})
}

fn on(list: &str, id: i64) -> Value {
    json!({"user_id": id, "block_list": list})
}

fn blocked(id: i64, list: &str) -> Value {
    json!({"user_id": id, "is_blocked": true, "block_list": list, "confirmed": true})
}

fn unblocked(id: i64) -> Value {
    json!({"user_id": id, "is_blocked": false, "block_list": null, "confirmed": true})
}

/// The parameters of TDLib's `setMessageSenderBlockList`.
fn set_list(sender: &Value, list: Option<&str>) -> Value {
    json!({"sender_id": sender, "block_list": list.map(|list| json!({"@type": list}))})
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_blocked_and_unblocked_in_both_sessions() {
    let mut scene = Scene::two_sessions().await;
    let [anna, boris, clara] = scene.account.contacts()[..] else { panic!("three contacts") };
    scene.load_peers().await;
    scene.other_tdlib("getUserFullInfo", user(boris.0)).await;

    let answer = scene.result("block_user", user(anna.0)).await;
    assert_eq!(answer, blocked(anna.0, "blockListMain"));
    assert_eq!(scene.account.blocked(BlockList::Main), [Peer::User(anna)]);
    let found = scene.next_in_other("updateChatBlockList").await;
    assert_eq!(found, json!({"chat_id": anna.0, "block_list": "blockListMain"}));

    // TDLib sends no request for what it believes is set; the answer is still read from Telegram.
    let sent = scene.calls(BLOCK);
    let answer = scene.result("block_user", on("blockListMain", anna.0)).await;
    assert_eq!((answer, scene.calls(BLOCK)), (blocked(anna.0, "blockListMain"), sent));

    // The other session has no chat with Boris, but has loaded his details.
    let stories = json!({"@type": STORIES});
    let fields = json!({"user_id": boris.0, "is_blocked": true, "block_list": stories});
    assert_eq!(scene.result("block_user", fields).await, blocked(boris.0, STORIES));
    assert_eq!(scene.account.blocked(BlockList::Stories), [Peer::User(boris)]);
    assert_eq!(scene.account.blocked(BlockList::Main), [Peer::User(anna)], "that list alone");
    let found = loop {
        let found = scene.next_in_other("updateUserFullInfo").await;
        if found["user_id"] == boris.0 {
            break found;
        }
    };
    assert_eq!(found["block_list"], STORIES, "{found}");

    // Unblocking affects only the main list: TDLib says ok, and he stays on the other one.
    let sender = json!({"@type": "messageSenderUser", "user_id": boris.0});
    scene.tdlib("setMessageSenderBlockList", set_list(&sender, None)).await;
    scene.wait_for_calls("contacts.unblock", 1).await;
    assert_eq!(scene.account.blocked(BlockList::Stories), [Peer::User(boris)]);
    let off = json!({"user_id": boris.0, "is_blocked": false, "block_list": STORIES});
    scene.refused("block_user", &[(off, "blockListStories can't be unblocked by TDLib")]).await;

    scene.result("block_user", user(clara.0)).await;
    let off = json!({"user_id": clara.0, "is_blocked": false});
    assert_eq!(scene.result("block_user", off).await, unblocked(clara.0));
    assert_eq!(scene.result("unblock_user", user(anna.0)).await, unblocked(anna.0));
    assert!(scene.account.blocked(BlockList::Main).is_empty());
    let found = loop {
        let found = scene.next_in_other("updateChatBlockList").await;
        if found["chat_id"] == anna.0 {
            break found;
        }
    };
    assert_eq!(found["block_list"], json!(null));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_users_are_listed_in_pages_with_their_names() {
    let mut scene = Scene::two_sessions().await;
    let contacts = scene.account.contacts();
    let group = scene.account.groups()[1].tdlib_chat_id();
    scene.load_peers().await;
    for contact in &contacts {
        scene.result("block_user", user(contact.0)).await;
    }
    let sender = json!({"@type": "messageSenderChat", "chat_id": group});
    scene.tdlib("setMessageSenderBlockList", set_list(&sender, Some("blockListMain"))).await;
    scene.wait_for_calls(BLOCK, 4).await;

    // The latest come first: the group, then Clara.
    let page = scene.result("get_blocked_users", json!({"limit": 2})).await;
    let expected = json!({
        "block_list": "blockListMain", "offset": 0, "limit": 2, "total_count": 4,
        "senders": [
            {"id": group, "kind": "messageSenderChat", "type": "chatTypeSupergroup",
                "title": "Supergroup 1", "avatar_file_id": null, "avatar_remote_file_id": null},
            {"id": contacts[2].0, "kind": "messageSenderUser", "profile": {"first_name": "Clara",
                "last_name": "of 1", "full_name": "Clara of 1", "username": "clara_1"},
                "avatar_file_id": null, "avatar_remote_file_id": null},
        ],
        "next_offset": 2,
    });
    assert_eq!(page, expected);
    let page = scene.result("get_blocked_users", json!({"offset": 2, "limit": 1000})).await;
    assert_eq!((&page["limit"], &page["next_offset"]), (&json!(100), &json!(null)));
    let ids: Vec<_> = page["senders"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [contacts[1].0, contacts[0].0]);
    let page = scene.result("get_blocked_users", json!({"block_list": {"@type": STORIES}})).await;
    let expected = json!({"block_list": STORIES, "offset": 0, "limit": 50, "total_count": 0,
        "senders": [], "next_offset": null});
    assert_eq!(page, expected);

    let cases = [
        (json!({"offset": -1}), "offset must be at least 0"),
        (json!({"offset": "0"}), "offset must be an integer"),
        (json!({"limit": 0}), "limit must be at least 1"),
        (json!({"limit": 2.5}), "limit must be an integer"),
        (json!({"block_list": "main"}), "block_list must be a TDLib block list type"),
        (json!({"user_id": 5}), "unknown field: user_id"),
    ];
    scene.refused("get_blocked_users", &cases).await;
    let fault = Fault::error(400, "OFFSET_INVALID").method("contacts.getBlocked").times(1);
    scene.world.sandbox.inject(fault);
    scene.passed_on("get_blocked_users", json!({}), "OFFSET_INVALID").await;
    // `unblock_user` is for users only, not for chats.
    scene.refused("unblock_user", &[(user(group), "user_id must be at least 1")]).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_request_blocks_nobody() {
    let mut scene = Scene::logged_in().await;
    let anna = scene.account.contacts()[0].0;
    let list = "block_list must be a TDLib block list type";
    let both = [
        (json!({}), "user_id is required"),
        (json!({"user_id": null}), "user_id is required"),
        (json!({"user_id": anna.to_string()}), "user_id must be an integer"),
        (user(0), "user_id must be at least 1"),
        (user(9_007_199_254_740_992), "user_id must be between 1 and 9007199254740991"),
        (json!({"user_id": anna, "blocklist": STORIES}), "unknown field: blocklist"),
    ];
    let block = [
        (json!({"user_id": anna, "is_blocked": "no"}), "is_blocked must be a boolean"),
        (on("stories", anna), list),
        (json!({"user_id": anna, "block_list": 5}), list),
        (json!({"user_id": anna, "block_list": {}}), list),
        (json!({"user_id": anna, "block_list": {"@type": STORIES, "x": 1}}), list),
    ];
    scene.refused("block_user", &both).await;
    scene.refused("block_user", &block).await;
    scene.refused("unblock_user", &both).await;
    scene.refused("unblock_user", &[(on(STORIES, anna), "unknown field: block_list")]).await;
    assert_eq!((scene.calls(BLOCK), scene.calls("contacts.unblock")), (0, 0));
    // TDLib refuses users that it has not seen.
    for command in ["block_user", "unblock_user"] {
        let info =
            scene.passed_on(command, user(987_654_321), "Unknown user identifier specified").await;
        assert_eq!(info["tdlib_code"], 400);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_telegram_refuses_or_ignores_is_not_confirmed() {
    let mut scene = Scene::two_sessions().await;
    let [anna, boris, clara] = scene.account.contacts()[..] else { panic!("three contacts") };
    scene.load_peers().await;

    // TDLib says ok and hides the refusal.
    scene.world.sandbox.inject(Fault::error(400, "PEER_ID_INVALID").method(BLOCK).times(2));
    let sender = json!({"@type": "messageSenderUser", "user_id": anna.0});
    let ok =
        scene.tdlib("setMessageSenderBlockList", set_list(&sender, Some("blockListMain"))).await;
    assert_eq!(ok, json!({"@type": "ok"}));
    scene.wait_for_calls(BLOCK, 1).await;
    assert!(scene.account.blocked(BlockList::Main).is_empty());
    let mut refused = blocked(boris.0, "blockListMain");
    refused["confirmed"] = json!(false);
    assert_eq!(scene.result("block_user", user(boris.0)).await, refused);
    assert!(scene.account.blocked(BlockList::Main).is_empty());
    // TDLib has not stored the refused change, so a second attempt is sent.
    let again = scene.result("block_user", user(boris.0)).await;
    assert_eq!((again, scene.calls(BLOCK)), (blocked(boris.0, "blockListMain"), 3));
    scene.result("unblock_user", user(boris.0)).await;

    // Telegram does not answer. TDLib says ok, stores the change, and sends it after a restart.
    let silence = scene.world.sandbox.inject(Fault::no_answer().method(BLOCK));
    let before = scene.calls(BLOCK);
    let mut unknown = blocked(clara.0, "blockListMain");
    unknown["confirmed"] = json!(false);
    assert_eq!(scene.result("block_user", user(clara.0)).await, unknown);
    scene.wait_for_calls(BLOCK, before + 1).await;
    assert!(scene.account.blocked(BlockList::Main).is_empty());
    scene.restart().await;
    scene.world.sandbox.remove_fault(silence);
    scene.wait_for_calls(BLOCK, before + 2).await;
    let page = scene.result("get_blocked_users", json!({})).await;
    assert_eq!(page["total_count"], 1, "{page}");
    assert_eq!(scene.account.blocked(BlockList::Main), [Peer::User(clara)]);
    // The answers are not counted: the kill may come between an answer and its acknowledgement.
    assert!(scene.world.sandbox.duplicates().is_empty());
}
