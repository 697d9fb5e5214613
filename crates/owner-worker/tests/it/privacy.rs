use serde_json::{Value, json};
use testkit::Reply;

use crate::global_privacy::{options, world as new_chats_world};
use crate::support::World;
use crate::support::objects::{
    chat, chats_rule, not_found, rule, rules, supergroup, user, users_rule,
};

/// An account that knows the users 1 to 9, of whom 9 is out of reach, and the groups -1, -2.
async fn world() -> World {
    let world = World::ready().await;
    world.tdlib.on("getUser", |request| match request.fields["user_id"].as_i64() {
        Some(9) => {
            let mut user = user(9);
            user["have_access"] = json!(false);
            Reply::object(user)
        }
        Some(id @ 1..=8) => Reply::object(user(id)),
        _ => not_found(),
    });
    world.tdlib.on("getChat", |request| {
        let basic = json!({"@type": "chatTypeBasicGroup", "basic_group_id": 1});
        let private = json!({"@type": "chatTypePrivate", "user_id": 4});
        match request.fields["chat_id"].as_i64() {
            Some(-1) => Reply::object(chat(-1, basic)),
            Some(-2) => Reply::object(chat(-2, supergroup(false))),
            Some(-3) => Reply::object(chat(-3, supergroup(true))),
            Some(4) => Reply::object(chat(4, private)),
            _ => not_found(),
        }
    });
    world.tdlib.answer("setUserPrivacySettingRules", Reply::ok());
    world
        .tdlib
        .answer("getUserPrivacySettingRules", Reply::object(rules(&[rule("AllowContacts")])));
    world
}

fn set(setting: &str, fields: &Value) -> Value {
    let mut fields = fields.clone();
    fields["setting"] = json!(setting);
    fields
}

fn sent_rules(world: &World) -> Value {
    world.sent("setUserPrivacySettingRules").last().unwrap()["rules"]["rules"].clone()
}

#[tokio::test]
async fn a_setting_is_read_by_any_of_its_names() {
    let world = world().await;
    let given = [users_rule("RestrictUsers", &[3, 2]), rule("AllowContacts")];
    world.tdlib.answer("getUserPrivacySettingRules", Reply::object(rules(&given)));
    let expected = json!({
        "setting": "userPrivacySettingShowStatus", "setting_type": "user_privacy",
        "setting_key": "show_status", "rules": given,
        "summary": {
            "mode": "contacts", "allow_user_ids": [], "restrict_user_ids": [3, 2],
            "allow_chat_ids": [], "restrict_chat_ids": [], "allow_premium_users": false,
            "allow_bots": false, "restrict_bots": false, "restrict_contacts": false,
            "canonical": true,
        },
    });
    for name in [
        json!("show_status"),
        json!("userPrivacySettingShowStatus"),
        json!("privacyKeyStatusTimestamp"),
        json!("inputPrivacyKeyStatusTimestamp"),
        json!({"@type": "userPrivacySettingShowStatus"}),
    ] {
        let result = world.result("get_privacy_setting", &json!({"setting": name})).await;
        assert_eq!(result, expected, "{name}");
    }
    let asked = json!({"setting": {"@type": "userPrivacySettingShowStatus"}});
    assert_eq!(world.sent("getUserPrivacySettingRules"), vec![asked; 5]);
}

#[tokio::test]
async fn anything_else_is_no_setting() {
    let world = world().await;
    for setting in [
        json!(""),
        json!("status"),
        json!(5),
        json!(["show_status"]),
        json!({"@type": "userPrivacySettingShowStatus", "x": 1}),
        json!({"setting": "show_status"}),
        json!("globalPrivacySettings"),
    ] {
        for command in ["get_privacy_setting", "set_privacy_setting"] {
            let fields = json!({"setting": setting});
            world.refused(command, &fields, "unsupported privacy setting").await;
        }
    }
    for command in ["get_privacy_setting", "set_privacy_setting"] {
        world.refused(command, &json!({"setting": null}), "setting is required").await;
    }
}

#[tokio::test]
async fn new_chats_are_read_as_a_setting() {
    let world = new_chats_world().await;
    let expected = json!({"setting": "newChatPrivacySettings", "setting_type": "new_chat",
        "setting_key": "new_chats", "allow_new_chats_from_unknown_users": true,
        "incoming_paid_message_star_count": 7});
    for name in ["new_chats", "newChatPrivacySettings"] {
        assert_eq!(world.result("get_privacy_setting", &json!({"setting": name})).await, expected);
    }
}

#[tokio::test]
async fn many_settings_are_read_at_once_and_a_failure_stays_its_own() {
    let world = new_chats_world().await;
    world.tdlib.on(
        "getUserPrivacySettingRules",
        |request| match request.fields["setting"]["@type"].as_str() {
            Some("userPrivacySettingShowBio") => Reply::error(400, "BIO_INVALID"),
            _ => Reply::object(rules(&[])),
        },
    );
    let settings = json!(["allow_calls", "inputPrivacyKeyAbout", "show_bio", "new_chats", "nope",
        "userPrivacySettingAllowCalls", "nope", {"@type": "x"}, 5]);
    let result = world.result("get_privacy_settings", &json!({"settings": settings})).await;
    let keys: Vec<_> = result["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["setting_key"].clone())
        .collect();
    assert_eq!(keys, ["allow_calls", "new_chats"]);
    assert_eq!((&result["requested"], &result["failed"]), (&json!(6), &json!(4)));
    let unsupported = "unsupported privacy setting";
    let errors = json!({"inputPrivacyKeyAbout": "BIO_INVALID", "nope": unsupported,
        "x": unsupported, "5": unsupported});
    assert_eq!(result["errors"], errors);

    let all = world.result("get_privacy_settings", &json!({})).await;
    assert_eq!((&all["requested"], &all["failed"]), (&json!(15), &json!(1)));
    assert_eq!(all["errors"], json!({"userPrivacySettingShowBio": "BIO_INVALID"}));
    let one = world.result("get_privacy_settings", &json!({"settings": "allow_calls"})).await;
    assert_eq!((&one["requested"], &one["failed"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn when_all_fail_the_command_fails() {
    let world = world().await;
    world.tdlib.answer(
        "getUserPrivacySettingRules",
        Reply::error(429, "Too Many Requests: retry after 9"),
    );
    let settings = json!({"settings": ["nope", "show_bio"]});
    let payload = world.failure("get_privacy_settings", &settings).await;
    assert_eq!(payload["error"], "failed to get privacy settings");
    let info = json!({"code": "flood_wait", "source": "tdlib", "retriable": true,
        "tdlib_code": 429, "retry_after": 9, "details": {"errors": {
            "nope": "unsupported privacy setting", "show_bio": "Too Many Requests: retry after 9"}}});
    assert_eq!(payload["error_info"], info);
    let payload = world.failure("get_privacy_settings", &json!({"settings": "nope"})).await;
    assert_eq!(payload["error_info"]["code"], "invalid_request");
    for settings in [json!([]), json!({}), json!(5), json!({"@type": "x"}), json!(true)] {
        let fields = json!({"settings": settings});
        world.refused("get_privacy_settings", &fields, "settings must be a list or string").await;
    }
}

#[tokio::test]
async fn the_mode_form_becomes_rules_in_the_canonical_order() {
    let world = world().await;
    let everything = json!({"mode": "contacts", "restrict_contacts": true, "restrict_bots": true,
        "allow_bots": true, "allow_premium_users": true, "restrict_chat_ids": [-2],
        "allow_chat_ids": [-1, -1], "restrict_user_ids": [3], "allow_user_ids": [2, 1, 2]});
    let result = world.result("set_privacy_setting", &set("allow_chat_invites", &everything)).await;
    assert_eq!(result["setting"], "userPrivacySettingAllowChatInvites", "read back");
    let expected = json!([
        users_rule("AllowUsers", &[2, 1]),
        users_rule("RestrictUsers", &[3]),
        chats_rule("AllowChatMembers", &[-1]),
        chats_rule("RestrictChatMembers", &[-2]),
        rule("AllowPremiumUsers"),
        rule("AllowBots"),
        rule("RestrictBots"),
        rule("RestrictContacts"),
        rule("AllowContacts"),
    ]);
    assert_eq!(sent_rules(&world), expected);
    for (mode, last) in
        [("all", "AllowAll"), ("contacts", "AllowContacts"), ("nobody", "RestrictAll")]
    {
        let bare = json!({"mode": mode, "allow_user_ids": [], "allow_bots": false});
        world.result("set_privacy_setting", &set("show_bio", &bare)).await;
        assert_eq!(sent_rules(&world), json!([rule(last)]));
    }
}

#[tokio::test]
async fn the_rules_form_is_sent_as_it_is() {
    let world = world().await;
    let list = json!([rule("AllowContacts"), users_rule("RestrictUsers", &[5]), rule("AllowAll")]);
    for form in [list.clone(), rules(list.as_array().unwrap())] {
        world.result("set_privacy_setting", &set("show_bio", &json!({"rules": form}))).await;
        assert_eq!(sent_rules(&world), list);
    }
    world.result("set_privacy_setting", &set("show_bio", &json!({"rules": []}))).await;
    assert_eq!(sent_rules(&world), json!([]));
}

#[tokio::test]
async fn a_request_of_no_or_two_forms_is_refused() {
    let world = world().await;
    let modes = "mode must be one of: all, contacts, nobody";
    let needs = "allow_new_chats_from_unknown_users is required";
    let cases = [
        ("show_bio", json!({}), modes),
        ("show_bio", json!({"mode": "everybody"}), modes),
        ("show_bio", json!({"mode": 1}), modes),
        ("show_bio", json!({"allow_user_ids": [1]}), modes),
        ("show_bio", json!({"allow_new_chats_from_unknown_users": true}), modes),
        ("new_chats", json!({}), needs),
        ("new_chats", json!({"incoming_paid_message_star_count": 5}), needs),
    ];
    for (setting, fields, error) in cases {
        world.refused("set_privacy_setting", &set(setting, &fields), error).await;
    }
    let combinations = [
        ("show_bio", json!({"mode": "all", "rules": []}), "rules", "mode"),
        ("show_bio", json!({"rules": [], "allow_bots": false}), "allow_bots", "rules"),
        (
            "show_bio",
            json!({"mode": "all", "incoming_paid_message_star_count": 1}),
            "incoming_paid_message_star_count",
            "mode",
        ),
        (
            "show_bio",
            json!({"rules": [], "allow_new_chats_from_unknown_users": true}),
            "allow_new_chats_from_unknown_users",
            "rules",
        ),
        ("new_chats", json!({"mode": "all"}), "mode", "newChatPrivacySettings"),
        (
            "new_chats",
            json!({"allow_new_chats_from_unknown_users": true, "rules": []}),
            "rules",
            "newChatPrivacySettings",
        ),
    ];
    for (setting, fields, field, form) in combinations {
        let error = format!("{field} can't be combined with {form}");
        world.refused("set_privacy_setting", &set(setting, &fields), &error).await;
    }
    assert_eq!(world.methods(), Vec::<String>::new());
}

#[tokio::test]
async fn rules_and_exceptions_are_checked_before_anything_is_asked() {
    let world = world().await;
    let shape = "rules must be a userPrivacySettingRules object or a list of rules";
    let close_friends = "unsupported privacy rule: userPrivacySettingRuleAllowCloseFriends";
    let cases = [
        (json!({"rules": {"rules": []}}), shape),
        (json!({"rules": ["x"]}), shape),
        (json!({"rules": [rule("AllowCloseFriends")]}), close_friends),
        (json!({"rules": [users_rule("RestrictUsers", &[])]}), "user_ids must not be empty"),
        (json!({"mode": "all", "allow_user_ids": 5}), "allow_user_ids must be a list of integers"),
        (json!({"mode": "all", "allow_bots": 1}), "allow_bots must be a boolean"),
        (
            json!({"mode": "all", "allow_user_ids": [1, 2], "restrict_user_ids": [2]}),
            "user 2 is both allowed and restricted",
        ),
        (
            json!({"mode": "all", "allow_chat_ids": [-1], "restrict_chat_ids": [-1]}),
            "chat -1 is both allowed and restricted",
        ),
    ];
    for (fields, error) in cases {
        world.refused("set_privacy_setting", &set("show_bio", &fields), error).await;
    }
    assert_eq!(world.methods(), Vec::<String>::new());
}

#[tokio::test]
async fn too_many_are_refused() {
    let world = world().await;
    let users: Vec<i64> = (1..=1001).collect();
    let chats: Vec<i64> = (1..=21).collect();
    let cases = [
        (json!({"mode": "all", "restrict_user_ids": users}), "too many users in rules"),
        (json!({"mode": "all", "restrict_chat_ids": chats}), "too many chats in rules"),
        (
            json!({"rules": [users_rule("AllowUsers", &users[..600]), users_rule("RestrictUsers", &users[..600])]}),
            "too many users in rules",
        ),
        (json!({"rules": [chats_rule("RestrictChatMembers", &chats)]}), "too many chats in rules"),
    ];
    for (fields, error) in cases {
        world.refused("set_privacy_setting", &set("show_bio", &fields), error).await;
    }
    let most = json!({"mode": "all", "restrict_user_ids": vec![5; 2000]});
    world.result("set_privacy_setting", &set("show_bio", &most)).await;
    assert_eq!(sent_rules(&world)[0], users_rule("RestrictUsers", &[5]), "ids are a set");
}

#[tokio::test]
async fn an_id_that_tdlib_would_drop_is_refused() {
    let world = world().await;
    let cases = [
        (json!({"mode": "all", "restrict_user_ids": [1, 77, 78]}), "user 77 is unknown"),
        (json!({"mode": "all", "restrict_user_ids": [9]}), "user 9 is unknown"),
        (json!({"mode": "all", "restrict_user_ids": [-5]}), "user -5 is unknown"),
        (json!({"mode": "all", "restrict_chat_ids": [-9]}), "chat -9 is not a known group"),
        (json!({"mode": "all", "restrict_chat_ids": [-2, -3]}), "chat -3 is not a known group"),
        (json!({"mode": "all", "restrict_chat_ids": [4]}), "chat 4 is not a known group"),
        (json!({"rules": [users_rule("RestrictUsers", &[77])]}), "user 77 is unknown"),
        (json!({"rules": [chats_rule("AllowChatMembers", &[4])]}), "chat 4 is not a known group"),
    ];
    for (fields, error) in cases {
        world.refused("set_privacy_setting", &set("show_bio", &fields), error).await;
    }
    assert_eq!(world.sent("setUserPrivacySettingRules"), Vec::<Value>::new());
    world.tdlib.answer("getUser", Reply::error(500, "Internal Server Error"));
    let fields = set("show_bio", &json!({"mode": "all", "restrict_user_ids": [1]}));
    let payload = world.failure("set_privacy_setting", &fields).await;
    assert_eq!(payload["error"], "Internal Server Error", "it may be known all the same");
}

#[tokio::test]
async fn a_refused_change_and_a_failed_read_back_are_told_apart() {
    let world = world().await;
    let fields = set("show_bio", &json!({"mode": "all"}));
    world.tdlib.answers(
        "setUserPrivacySettingRules",
        vec![Reply::error(400, "PRIVACY_KEY_INVALID"), Reply::ok()],
    );
    let payload = world.failure("set_privacy_setting", &fields).await;
    assert_eq!(payload["error"], "PRIVACY_KEY_INVALID");
    assert_eq!(payload["error_info"].get("details"), None);
    world.tdlib.answer("getUserPrivacySettingRules", Reply::error(500, "Internal Server Error"));
    let payload = world.failure("set_privacy_setting", &fields).await;
    assert_eq!(payload["error"], "Internal Server Error");
    assert_eq!(payload["error_info"]["details"], json!({"updated_fields": ["rules"]}));
}

#[tokio::test]
async fn new_chats_are_set_and_a_price_that_is_left_out_is_kept() {
    let world = new_chats_world().await;
    let set = async |fields: Value| {
        let result = world.result("set_privacy_setting", &set("new_chats", &fields)).await;
        assert_eq!(result["setting_type"], "new_chat", "read back");
        world.sent("setNewChatPrivacySettings").pop().unwrap()["settings"].clone()
    };
    let settings = |allow: bool, price: i64| json!({"allow_new_chats_from_unknown_users": allow, "incoming_paid_message_star_count": price});
    let allow = "allow_new_chats_from_unknown_users";
    assert_eq!(set(json!({allow: true})).await, settings(true, 7));
    assert_eq!(set(json!({allow: false})).await, settings(false, 0));
    assert_eq!(set(settings(true, 10_000)).await, settings(true, 10_000));
    assert_eq!(set(settings(false, 0)).await, settings(false, 0));
}

#[tokio::test]
async fn new_chats_beyond_what_the_account_may_have_are_refused() {
    let world = new_chats_world().await;
    let refused = async |allow: bool, price: i64, error: &str| {
        let fields = json!({"allow_new_chats_from_unknown_users": allow,
            "incoming_paid_message_star_count": price});
        world.refused("set_privacy_setting", &set("newChatPrivacySettings", &fields), error).await;
    };
    refused(false, 1, "incoming_paid_message_star_count needs allow_new_chats_from_unknown_users")
        .await;
    refused(true, -1, "incoming_paid_message_star_count must be at least 0").await;
    refused(true, 10_001, "incoming_paid_message_star_count must be between 0 and 10000").await;
    options(&world, true, false);
    refused(true, 5, "not available to this account").await;
    options(&world, false, true);
    refused(true, 0, "not available to this account").await;
    assert_eq!(world.sent("setNewChatPrivacySettings"), Vec::<Value>::new());
}
