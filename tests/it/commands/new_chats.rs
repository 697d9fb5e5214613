use std::time::Duration;

use sandbox::{Fault, GlobalPrivacy};
use serde_json::{Value, json};

use super::Scene;

const READ: &str = "account.getGlobalPrivacySettings";
const WRITE: &str = "account.setGlobalPrivacySettings";
const NEEDS: &str = "incoming_paid_message_star_count needs allow_new_chats_from_unknown_users";

fn new_chats(allow: bool, price: Option<i64>) -> Value {
    let mut fields = json!({"setting": "new_chats", "allow_new_chats_from_unknown_users": allow});
    if let Some(price) = price {
        fields["incoming_paid_message_star_count"] = json!(price);
    }
    fields
}

fn price(global: GlobalPrivacy) -> (bool, i64) {
    (!global.new_chats_require_premium, global.message_price)
}

#[tokio::test(flavor = "multi_thread")]
async fn new_chats_are_allowed_with_and_without_a_price() {
    let mut scene = Scene::logged_in().await;
    for (fields, allow, stars) in [
        (new_chats(true, Some(25)), true, 25),
        (new_chats(true, None), true, 25),
        (new_chats(false, None), false, 0),
        (new_chats(true, None), true, 0),
        (new_chats(true, Some(10_000)), true, 10_000),
        (new_chats(false, Some(0)), false, 0),
    ] {
        let set = scene.result("set_privacy_setting", fields).await;
        let expected = json!({"setting": "newChatPrivacySettings", "setting_type": "new_chat",
            "setting_key": "new_chats", "allow_new_chats_from_unknown_users": allow,
            "incoming_paid_message_star_count": stars});
        assert_eq!(set, expected);
        assert_eq!(price(scene.account.global_privacy()), (allow, stars));
    }

    let writes = scene.calls(WRITE);
    let with = |field: &str, value: Value| {
        let mut fields = new_chats(true, None);
        fields[field] = value;
        fields
    };
    let missing = "allow_new_chats_from_unknown_users is required";
    let combined = |field: &str| format!("{field} can't be combined with newChatPrivacySettings");
    let cases = [
        (json!({"setting": "new_chats"}), missing),
        (json!({"setting": "new_chats", "incoming_paid_message_star_count": 5}), missing),
        (
            with("allow_new_chats_from_unknown_users", json!(1)),
            "allow_new_chats_from_unknown_users must be a boolean",
        ),
        (
            with("incoming_paid_message_star_count", json!("5")),
            "incoming_paid_message_star_count must be an integer",
        ),
        (new_chats(true, Some(-1)), "incoming_paid_message_star_count must be at least 0"),
        (
            new_chats(true, Some(10_001)),
            "incoming_paid_message_star_count must be between 0 and 10000",
        ),
        (new_chats(false, Some(5)), NEEDS),
        (with("mode", json!("all")), &combined("mode")),
        (with("rules", json!([])), &combined("rules")),
        (with("allow_user_ids", json!([])), &combined("allow_user_ids")),
        (with("allow_bots", json!(false)), &combined("allow_bots")),
    ];
    scene.refused("set_privacy_setting", &cases).await;
    assert_eq!(scene.calls(WRITE), writes, "nothing was changed");

    scene.world.sandbox.inject(Fault::error(400, "STARS_AMOUNT_INVALID").method(WRITE).times(1));
    scene.passed_on("set_privacy_setting", new_chats(true, Some(7)), "STARS_AMOUNT_INVALID").await;
    assert_eq!(price(scene.account.global_privacy()), (false, 0));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_permission_is_refused() {
    let mut scene = Scene::start(1).await;
    scene.account.let_restrict_new_chats(false);
    scene.world.log_in(&mut scene.mine, 1).await;
    scene.sent += 2;
    let refused = "not available to this account";
    for fields in [new_chats(false, None), new_chats(true, Some(5)), new_chats(true, None)] {
        scene.refused("set_privacy_setting", &[(fields, refused)]).await;
    }
    let fields = json!({"show_read_date": false, "allow_new_chats_from_unknown_users": false});
    scene.refused("set_global_privacy_settings", &[(fields, refused)]).await;
    assert_eq!(scene.calls(WRITE), 0, "not even what could be");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn global_settings_are_changed_individually_and_read_back() {
    let mut scene = Scene::logged_in().await;
    let mut all = json!({
        "archive_and_mute_new_chats_from_unknown_users": false,
        "keep_unmuted_chats_archived": false, "keep_chats_from_folders_archived": false,
        "show_read_date": true, "allow_new_chats_from_unknown_users": true,
        "incoming_paid_message_star_count": 0,
    });
    assert_eq!(scene.result("get_global_privacy_settings", json!({})).await, all);
    for (field, value) in [
        ("keep_chats_from_folders_archived", json!(true)),
        ("archive_and_mute_new_chats_from_unknown_users", json!(true)),
        ("show_read_date", json!(false)),
        ("incoming_paid_message_star_count", json!(9)),
        ("allow_new_chats_from_unknown_users", json!(true)),
        ("keep_unmuted_chats_archived", json!(true)),
    ] {
        all[field] = value.clone();
        let set = scene.result("set_global_privacy_settings", json!({field: value})).await;
        assert_eq!(set, all, "nothing but {field}");
    }
    let held = scene.account.global_privacy();
    assert!(held.archive_and_mute_new && held.keep_archived_unmuted && held.keep_archived_folders);
    assert!(held.hide_read_marks && held.show_gift_button, "nor what TDLib has no method for");
    assert_eq!(price(held), (true, 9));

    let nothing = "at least one of archive_and_mute_new_chats_from_unknown_users, \
        keep_unmuted_chats_archived, keep_chats_from_folders_archived, show_read_date, \
        allow_new_chats_from_unknown_users or incoming_paid_message_star_count is required";
    let writes = scene.calls(WRITE);
    let stars = |stars: Value| json!({"incoming_paid_message_star_count": stars});
    let mut cases = vec![
        (json!({}), nothing.to_owned()),
        (json!({"show_read_date": null}), nothing.to_owned()),
        (json!({"read_date": true}), "unknown field: read_date".to_owned()),
        (stars(json!(1.5)), "incoming_paid_message_star_count must be an integer".to_owned()),
        (stars(json!(-1)), "incoming_paid_message_star_count must be at least 0".to_owned()),
        (
            stars(json!(10_001)),
            "incoming_paid_message_star_count must be between 0 and 10000".to_owned(),
        ),
        (
            json!({"allow_new_chats_from_unknown_users": false,
                "incoming_paid_message_star_count": 5}),
            NEEDS.to_owned(),
        ),
    ];
    for field in all.as_object().unwrap().keys().filter(|name| !name.starts_with("incoming")) {
        cases.push((json!({field: 1}), format!("{field} must be a boolean")));
    }
    for (fields, error) in cases {
        scene.refused("set_global_privacy_settings", &[(fields, &error)]).await;
    }
    assert_eq!(scene.calls(WRITE), writes, "nothing was changed");

    // Objects are set one by one: the first failure ends the command, and the error lists the others.
    scene
        .world
        .sandbox
        .inject(Fault::error(400, "SOMETHING_INVALID").method(WRITE).skip(1).times(1));
    let fields = json!({"show_read_date": true, "allow_new_chats_from_unknown_users": false,
        "keep_unmuted_chats_archived": false, "keep_chats_from_folders_archived": false});
    let info = scene.passed_on("set_global_privacy_settings", fields, "SOMETHING_INVALID").await;
    let done = json!(["keep_unmuted_chats_archived", "keep_chats_from_folders_archived"]);
    assert_eq!(info["details"], json!({"updated_fields": done}));
    let held = scene.account.global_privacy();
    assert!(!held.keep_archived_unmuted && !held.keep_archived_folders);
    assert!(held.hide_read_marks && held.archive_and_mute_new);
    assert_eq!(price(held), (true, 9));
    scene.end().await;
}

/// Each of TDLib's setters reads the whole object from Telegram, changes its part, and writes it.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_of_global_settings_do_not_undo_each_other() {
    let mut scene = Scene::logged_in().await;
    let slowly = || Fault::delay(Duration::from_secs(2)).method(READ);
    let slow = scene.world.sandbox.inject(slowly());
    let archive = json!({"settings": {"@type": "archiveChatListSettings",
        "archive_and_mute_new_chats_from_unknown_users": true,
        "keep_unmuted_chats_archived": false, "keep_chats_from_folders_archived": false}});
    let dates = json!({"settings": {"@type": "readDatePrivacySettings", "show_read_date": false}});
    // Called directly in both lanes, TDLib loses one of the two changes.
    let raw = |method: &str, params: Value| json!({"method": method, "params": params});
    scene.send_low("call_tdlib", raw("setArchiveChatListSettings", archive)).await;
    scene.result("call_tdlib", raw("setReadDatePrivacySettings", dates)).await;
    scene.mine.answers(1, scene.sent).await;
    let held = scene.account.global_privacy();
    assert!(held.archive_and_mute_new != held.hide_read_marks, "one is lost: {held:?}");
    scene.world.sandbox.remove_fault(slow);

    // The commands exclude each other, including those for new chats.
    let back = json!({"archive_and_mute_new_chats_from_unknown_users": false,
        "show_read_date": true});
    scene.result("set_global_privacy_settings", back).await;
    let slow = scene.world.sandbox.inject(slowly());
    scene.send_low("set_global_privacy_settings", json!({"show_read_date": false})).await;
    scene.result("set_privacy_setting", new_chats(true, Some(9))).await;
    scene.mine.answers(1, scene.sent).await;
    let held = scene.account.global_privacy();
    assert!(held.hide_read_marks, "{held:?}");
    assert_eq!(price(held), (true, 9));
    scene.world.sandbox.remove_fault(slow);
    scene.end().await;
}
