use serde_json::{Value, json};
use testkit::Reply;

use crate::support::World;
use crate::support::objects::{not_found, user};

fn users(ids: &[i64]) -> Reply {
    Reply::object(json!({"@type": "users", "total_count": ids.len(), "user_ids": ids}))
}

async fn world() -> World {
    let world = World::ready().await;
    world.tdlib.on("getUser", |request| match request.fields["user_id"].as_i64() {
        Some(id @ 1..10) => Reply::object(user(id)),
        Some(id @ 10..20) => {
            let mut user = user(id);
            user["is_contact"] = json!(false);
            user["usernames"] = json!(null);
            user["last_name"] = json!("");
            Reply::object(user)
        }
        _ => not_found(),
    });
    world
}

#[tokio::test]
async fn close_friends_are_listed_with_names() {
    let world = world().await;
    world.tdlib.answer("getCloseFriends", users(&[5, 11, 99]));
    let result = world.result("get_close_friends", &json!({})).await;
    let expected = json!({"user_ids": [5, 11, 99], "users": [
        {"user_id": 5, "profile": {"first_name": "Ada", "last_name": "Lovelace",
            "full_name": "Ada Lovelace", "username": "ada"}},
        {"user_id": 11, "profile": {"first_name": "Ada", "last_name": "", "full_name": "Ada",
            "username": null}},
        {"user_id": 99, "profile": null},
    ]});
    assert_eq!(result, expected);
}

#[tokio::test]
async fn close_friends_are_replaced_as_a_whole() {
    let world = world().await;
    world.tdlib.answer("setCloseFriends", Reply::ok());
    world.tdlib.answers("getCloseFriends", vec![users(&[5, 6]), users(&[])]);
    let result = world.result("set_close_friends", &json!({"user_ids": [5, 6]})).await;
    assert_eq!(result["user_ids"], json!([5, 6]));
    let result = world.result("set_close_friends", &json!({"user_ids": []})).await;
    assert_eq!(result, json!({"user_ids": [], "users": []}));
    let sent = [json!({"user_ids": [5, 6]}), json!({"user_ids": []})];
    assert_eq!(world.sent("setCloseFriends"), sent);
}

#[tokio::test]
async fn only_contacts_become_close_friends() {
    let world = world().await;
    let cases = [
        (json!({}), "user_ids is required"),
        (json!({"user_ids": 5}), "user_ids must be a list of integers"),
        (json!({"user_ids": [5, 11]}), "user 11 is not a contact"),
        (json!({"user_ids": [99, 11]}), "user 99 is not a contact"),
    ];
    for (fields, error) in cases {
        world.refused("set_close_friends", &fields, error).await;
    }
    assert_eq!(world.sent("setCloseFriends"), Vec::<Value>::new());
}

#[tokio::test]
async fn each_user_has_a_reason_and_one_that_fails_does_not_fail_the_others() {
    let world = World::ready().await;
    world.tdlib.on("canSendMessageToUser", |request| {
        let result = |name: &str| {
            Reply::object(json!({"@type": format!("canSendMessageToUserResult{name}")}))
        };
        match request.fields["user_id"].as_i64() {
            Some(1) => result("Ok"),
            Some(2) => {
                Reply::object(json!({"@type": "canSendMessageToUserResultUserHasPaidMessages",
                "outgoing_paid_message_star_count": 25}))
            }
            Some(3) => result("UserIsDeleted"),
            Some(4) => result("UserRestrictsNewChats"),
            _ => not_found(),
        }
    });
    let result =
        world.result("can_send_messages_to_users", &json!({"user_ids": [4, 3, 2, 1, 5]})).await;
    let expected = json!({"results": [
        {"user_id": 4, "can_send": false, "reason": "restricts_new_chats"},
        {"user_id": 3, "can_send": false, "reason": "deleted_or_unknown"},
        {"user_id": 2, "can_send": true, "reason": "paid_messages",
            "outgoing_paid_message_star_count": 25},
        {"user_id": 1, "can_send": true, "reason": "ok"},
        {"user_id": 5, "can_send": null, "reason": null, "error": "Not Found"},
    ]});
    assert_eq!(result, expected);
    assert!(world.sent("canSendMessageToUser").iter().all(|sent| sent["only_local"] == false));
    let range = "user_ids must be between 1 and 100";
    for ids in [vec![], vec![1; 101]] {
        world.refused("can_send_messages_to_users", &json!({"user_ids": ids}), range).await;
    }
}

#[tokio::test]
async fn contacts_are_loaded_once_before_a_user_counts_as_unknown() {
    let world = World::ready().await;
    let loaded = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&loaded);
    world.tdlib.on("getUser", move |request| match request.fields["user_id"].as_i64() {
        Some(id @ 1..10) if seen.load(std::sync::atomic::Ordering::Relaxed) => {
            Reply::object(user(id))
        }
        _ => not_found(),
    });
    world.tdlib.on("getContacts", move |_| {
        loaded.store(true, std::sync::atomic::Ordering::Relaxed);
        users(&[5])
    });
    world.tdlib.answer("setCloseFriends", Reply::ok());
    world.tdlib.answer("getCloseFriends", users(&[5]));
    world.result("set_close_friends", &json!({"user_ids": [5]})).await;
    assert_eq!(world.sent("getContacts").len(), 1);
    let unknown = json!({"user_ids": [5, 99]});
    world.refused("set_close_friends", &unknown, "user 99 is not a contact").await;
    assert_eq!(world.sent("getContacts").len(), 1);
}
