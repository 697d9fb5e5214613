use serde_json::{Value, json};
use testkit::Reply;

use crate::support::World;
use crate::support::objects::{blocked, chat, not_found, supergroup, user};

async fn world(page: Value) -> World {
    let world = World::ready().await;
    world.tdlib.answer("setMessageSenderBlockList", Reply::ok());
    world.tdlib.answer("getBlockedMessageSenders", Reply::object(page));
    world
}

#[tokio::test]
async fn a_user_is_blocked_on_the_list_that_was_named() {
    let world = world(blocked(2, &[4, 5])).await;
    let lists = [
        (json!({}), "blockListMain"),
        (json!({"block_list": null, "is_blocked": null}), "blockListMain"),
        (json!({"block_list": "blockListStories"}), "blockListStories"),
        (
            json!({"block_list": {"@type": "blockListStories"}, "is_blocked": true}),
            "blockListStories",
        ),
    ];
    for (mut fields, list) in lists {
        fields["user_id"] = json!(5);
        let result = world.result("block_user", &fields).await;
        let expected =
            json!({"user_id": 5, "is_blocked": true, "block_list": list, "confirmed": true});
        assert_eq!(result, expected);
        let sent = json!({"sender_id": {"@type": "messageSenderUser", "user_id": 5},
            "block_list": {"@type": list}});
        assert_eq!(world.sent("setMessageSenderBlockList").last(), Some(&sent));
        let read = json!({"block_list": {"@type": list}, "offset": 0, "limit": 100});
        assert_eq!(world.sent("getBlockedMessageSenders").last(), Some(&read));
    }
}

#[tokio::test]
async fn a_user_is_unblocked_by_both_commands() {
    let world = world(blocked(1, &[4])).await;
    let expected =
        json!({"user_id": 5, "is_blocked": false, "block_list": null, "confirmed": true});
    let fields = json!({"user_id": 5, "is_blocked": false});
    assert_eq!(world.result("block_user", &fields).await, expected);
    assert_eq!(world.result("unblock_user", &json!({"user_id": 5})).await, expected);
    let sent =
        json!({"sender_id": {"@type": "messageSenderUser", "user_id": 5}, "block_list": null});
    assert_eq!(world.sent("setMessageSenderBlockList"), [sent.clone(), sent]);
}

#[tokio::test]
async fn what_the_list_shows_is_told_as_far_as_it_can_be() {
    let cases = [
        (Reply::object(blocked(1, &[4])), json!(false), json!(true)),
        (Reply::object(blocked(2, &[4, 5])), json!(true), json!(false)),
        (Reply::object(blocked(101, &[4])), json!(null), json!(null)),
        (Reply::object(blocked(101, &[5])), json!(true), json!(false)),
        (Reply::error(500, "Internal Server Error"), json!(null), json!(null)),
    ];
    let world = World::ready().await;
    world.tdlib.answer("setMessageSenderBlockList", Reply::ok());
    for (page, after_blocking, after_unblocking) in cases {
        world.tdlib.answer("getBlockedMessageSenders", page.clone());
        let result = world.result("block_user", &json!({"user_id": 5})).await;
        assert_eq!(result["confirmed"], after_blocking, "{page:?}");
        let result = world.result("unblock_user", &json!({"user_id": 5})).await;
        assert_eq!(result["confirmed"], after_unblocking, "{page:?}");
    }
}

#[tokio::test]
async fn a_mistake_never_blocks_on_the_wrong_list() {
    let world = World::ready().await;
    let not_a_list = "block_list must be a TDLib block list type";
    for list in [
        json!("main"),
        json!(""),
        json!(5),
        json!(["blockListMain"]),
        json!({"@type": "blockListMain", "x": 1}),
        json!({"@type": "blockListAll"}),
        json!({}),
    ] {
        world.refused("block_user", &json!({"user_id": 5, "block_list": list}), not_a_list).await;
        world.refused("get_blocked_users", &json!({"block_list": list}), not_a_list).await;
    }
    let cases = [
        ("block_user", json!({}), "user_id is required"),
        ("unblock_user", json!({}), "user_id is required"),
        ("block_user", json!({"user_id": "5"}), "user_id must be an integer"),
        ("block_user", json!({"user_id": 0}), "user_id must be at least 1"),
        (
            "block_user",
            json!({"user_id": 9_007_199_254_740_992_i64}),
            "user_id must be between 1 and 9007199254740991",
        ),
        ("block_user", json!({"user_id": 5, "is_blocked": "no"}), "is_blocked must be a boolean"),
        ("block_user", json!({"user_id": 5, "block_lst": "x"}), "unknown field: block_lst"),
        (
            "block_user",
            json!({"user_id": 5, "is_blocked": false, "block_list": "blockListStories"}),
            "blockListStories can't be unblocked by TDLib",
        ),
        ("unblock_user", json!({"user_id": 5, "is_blocked": true}), "unknown field: is_blocked"),
        ("get_blocked_users", json!({"offset": -1}), "offset must be at least 0"),
        ("get_blocked_users", json!({"limit": 0}), "limit must be at least 1"),
        ("get_blocked_users", json!({"limit": "5"}), "limit must be an integer"),
    ];
    for (command, fields, error) in cases {
        world.refused(command, &fields, error).await;
    }
    assert_eq!(world.methods(), Vec::<String>::new());
}

#[tokio::test]
async fn a_page_of_blocked_senders_has_names_and_pictures() {
    let mut page = blocked(120, &[5, 6]);
    page["senders"].as_array_mut().unwrap().extend([
        json!({"@type": "messageSenderChat", "chat_id": -7}),
        json!({"@type": "messageSenderChat", "chat_id": -8}),
    ]);
    let world = world(page).await;
    world.tdlib.on("getUser", |request| match request.fields["user_id"].as_i64() {
        Some(5) => Reply::object(user(5)),
        _ => not_found(),
    });
    world.tdlib.on("getChat", |request| match request.fields["chat_id"].as_i64() {
        Some(-7) => Reply::object(chat(-7, supergroup(true))),
        _ => Reply::object(json!({"@type": "chat", "id": "no number"})),
    });
    let result = world.result("get_blocked_users", &json!({"offset": 10, "limit": 50})).await;
    let expected = json!({
        "block_list": "blockListMain", "offset": 10, "limit": 50, "total_count": 120,
        "senders": [
            {"id": 5, "kind": "messageSenderUser", "profile": {"first_name": "Ada",
                "last_name": "Lovelace", "full_name": "Ada Lovelace", "username": "ada"},
                "avatar_file_id": 5, "avatar_remote_file_id": "remote-5"},
            {"id": 6, "kind": "messageSenderUser"},
            {"id": -7, "kind": "messageSenderChat", "type": "chatTypeSupergroup",
                "title": "The group", "avatar_file_id": 8, "avatar_remote_file_id": "remote-8"},
            {"id": -8, "kind": "messageSenderChat"},
        ],
        "next_offset": 60,
    });
    assert_eq!(result, expected);
}

#[tokio::test]
async fn a_page_has_at_most_a_hundred_and_the_last_has_no_next() {
    let world = world(blocked(150, &[])).await;
    let result = world.result("get_blocked_users", &json!({"limit": 1_000_000})).await;
    assert_eq!((&result["limit"], &result["next_offset"]), (&json!(100), &json!(100)));
    let result = world.result("get_blocked_users", &json!({"offset": 100})).await;
    assert_eq!((&result["limit"], &result["next_offset"]), (&json!(50), &json!(null)));
    let huge: Value = serde_json::from_str(r#"{"offset": 99999999999999999999}"#).unwrap();
    assert_eq!(huge["offset"].as_i64(), None);
    let result = world.result("get_blocked_users", &json!({"offset": i64::MAX})).await;
    assert_eq!(result["next_offset"], json!(null));
    let offsets: Vec<_> = world.sent("getBlockedMessageSenders");
    let offsets: Vec<_> = offsets.iter().map(|sent| sent["offset"].clone()).collect();
    assert_eq!(offsets, [json!(0), json!(100), json!(i32::MAX)]);
}
