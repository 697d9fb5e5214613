use serde_json::{Value, json};
use testkit::Reply;

use crate::support::World;

const ALL: [&str; 6] = [
    "archive_and_mute_new_chats_from_unknown_users",
    "keep_unmuted_chats_archived",
    "keep_chats_from_folders_archived",
    "show_read_date",
    "allow_new_chats_from_unknown_users",
    "incoming_paid_message_star_count",
];

fn new_chats(allow: bool, price: i64) -> Value {
    json!({"@type": "newChatPrivacySettings", "allow_new_chats_from_unknown_users": allow,
        "incoming_paid_message_star_count": price})
}

/// An account that may have everything, and whose messages cost 7.
pub(crate) async fn world() -> World {
    let world = World::ready().await;
    let archive = json!({"@type": "archiveChatListSettings",
        "archive_and_mute_new_chats_from_unknown_users": true,
        "keep_unmuted_chats_archived": false, "keep_chats_from_folders_archived": true});
    let read_date = json!({"@type": "readDatePrivacySettings", "show_read_date": true});
    world.tdlib.answer("getArchiveChatListSettings", Reply::object(archive));
    world.tdlib.answer("getReadDatePrivacySettings", Reply::object(read_date));
    world.tdlib.answer("getNewChatPrivacySettings", Reply::object(new_chats(true, 7)));
    for method in ["ArchiveChatListSettings", "ReadDatePrivacySettings", "NewChatPrivacySettings"] {
        world.tdlib.answer(&format!("set{method}"), Reply::ok());
    }
    let config = json!({"@type": "jsonValueObject", "members": []});
    world.tdlib.answer("getApplicationConfig", Reply::object(config));
    options(&world, true, true);
    world
}

/// Sets TDLib's options.
pub(crate) fn options(world: &World, new_chats: bool, paid: bool) {
    world.tdlib.on("getOption", move |request| {
        let boolean = |on: bool| json!({"@type": "optionValueBoolean", "value": on});
        Reply::object(match request.fields["name"].as_str() {
            Some("can_set_new_chat_privacy_settings") => boolean(new_chats),
            Some("can_enable_paid_messages") if paid => boolean(true),
            Some("paid_message_star_count_max") => {
                json!({"@type": "optionValueInteger", "value": "10000"})
            }
            _ => json!({"@type": "optionValueEmpty"}),
        })
    });
}

#[tokio::test]
async fn the_settings_of_three_objects_are_read_as_one() {
    let world = world().await;
    let result = world.result("get_global_privacy_settings", &json!({})).await;
    let expected = json!({
        "archive_and_mute_new_chats_from_unknown_users": true,
        "keep_unmuted_chats_archived": false, "keep_chats_from_folders_archived": true,
        "show_read_date": true, "allow_new_chats_from_unknown_users": true,
        "incoming_paid_message_star_count": 7,
    });
    assert_eq!(result, expected);
}

#[tokio::test]
async fn only_what_is_named_is_changed() {
    let world = world().await;
    world
        .result("set_global_privacy_settings", &json!({"keep_unmuted_chats_archived": true}))
        .await;
    let archive = json!({"settings": {"archive_and_mute_new_chats_from_unknown_users": true,
        "keep_unmuted_chats_archived": true, "keep_chats_from_folders_archived": true}});
    assert_eq!(world.sent("setArchiveChatListSettings"), [archive]);
    world
        .result("set_global_privacy_settings", &json!({"incoming_paid_message_star_count": 9}))
        .await;
    let strip = |mut settings: Value| {
        settings.as_object_mut().unwrap().remove("@type");
        json!({"settings": settings})
    };
    assert_eq!(world.sent("setNewChatPrivacySettings"), [strip(new_chats(true, 9))]);
    world
        .result("set_global_privacy_settings", &json!({"allow_new_chats_from_unknown_users": true}))
        .await;
    assert_eq!(world.sent("setNewChatPrivacySettings")[1], strip(new_chats(true, 7)));
    world.result("set_global_privacy_settings", &json!({"show_read_date": false})).await;
    assert_eq!(
        world.sent("setReadDatePrivacySettings"),
        [json!({"settings": {"show_read_date": false}})]
    );
    assert_eq!(world.sent("setArchiveChatListSettings").len(), 1);
}

#[tokio::test]
async fn the_first_setter_that_fails_tells_what_was_changed_before() {
    let world = world().await;
    world.tdlib.answer("setReadDatePrivacySettings", Reply::error(400, "PREMIUM_ACCOUNT_REQUIRED"));
    let fields = json!({"show_read_date": false, "keep_chats_from_folders_archived": false,
        "keep_unmuted_chats_archived": true, "allow_new_chats_from_unknown_users": false});
    let payload = world.failure("set_global_privacy_settings", &fields).await;
    assert_eq!(payload["error"], "PREMIUM_ACCOUNT_REQUIRED");
    let done = json!({"updated_fields":
        ["keep_unmuted_chats_archived", "keep_chats_from_folders_archived"]});
    assert_eq!(payload["error_info"]["details"], done);
    assert_eq!(world.sent("setNewChatPrivacySettings"), Vec::<Value>::new());
}

#[tokio::test]
async fn a_failed_read_back_tells_what_was_changed() {
    let world = world().await;
    world.tdlib.answer("getReadDatePrivacySettings", Reply::error(500, "Internal Server Error"));
    let payload =
        world.failure("set_global_privacy_settings", &json!({"show_read_date": false})).await;
    assert_eq!(payload["error"], "Internal Server Error");
    assert_eq!(payload["error_info"]["details"], json!({"updated_fields": ["show_read_date"]}));
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_set() {
    let world = world().await;
    let nothing = format!("at least one of {} or {} is required", ALL[..5].join(", "), ALL[5]);
    let needs = "incoming_paid_message_star_count needs allow_new_chats_from_unknown_users";
    let range = "incoming_paid_message_star_count must be between 0 and 10000";
    let cases = [
        (json!({}), nothing.as_str()),
        (json!({"show_read_date": 1}), "show_read_date must be a boolean"),
        (
            json!({"incoming_paid_message_star_count": -1}),
            "incoming_paid_message_star_count must be at least 0",
        ),
        (
            json!({"allow_new_chats_from_unknown_users": false,
                "incoming_paid_message_star_count": 1}),
            needs,
        ),
        (json!({"show_read_date": true, "incoming_paid_message_star_count": 10_001}), range),
    ];
    for (fields, error) in cases {
        world.refused("set_global_privacy_settings", &fields, error).await;
    }
    world.tdlib.answer("getNewChatPrivacySettings", Reply::object(new_chats(false, 0)));
    let price = json!({"incoming_paid_message_star_count": 1});
    world.refused("set_global_privacy_settings", &price, needs).await;
    options(&world, false, true);
    let fields = json!({"show_read_date": true, "allow_new_chats_from_unknown_users": false});
    world.refused("set_global_privacy_settings", &fields, "not available to this account").await;
    let set = |method: &String| method.starts_with("set");
    assert_eq!(world.methods().into_iter().filter(set).collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test]
async fn what_tdlib_has_not_heard_of_yet_is_asked_for_before_it_is_refused() {
    let world = world().await;
    let boolean = |on: bool| Reply::object(json!({"@type": "optionValueBoolean", "value": on}));
    world.tdlib.answers("getOption", vec![boolean(false), boolean(true)]);
    let fields = json!({"allow_new_chats_from_unknown_users": false});
    world.result("set_global_privacy_settings", &fields).await;
    assert_eq!(world.sent("getApplicationConfig").len(), 1);
    world.result("set_global_privacy_settings", &fields).await;
    assert_eq!(world.sent("getApplicationConfig").len(), 1, "what is known is not asked for");
}
