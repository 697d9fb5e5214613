use sandbox::{Fault, PrivacyKey, PrivacyRule};
use serde_json::{Value, json};

use super::{Scene, rule, rule_of, set_rules};

const SET: &str = "account.setPrivacy";
const RULES: &str = "updateUserPrivacySettingRules";
const BIO: &str = "userPrivacySettingShowBio";

fn bio(rules: Value) -> Value {
    json!({"setting": "show_bio", "rules": rules})
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_keep_the_order_in_which_they_were_sent() {
    let mut scene = Scene::two_sessions().await;
    let [anna, boris, _] = scene.account.contacts()[..] else { panic!("three contacts") };
    let group = scene.account.groups()[1];
    scene.load_peers().await;
    let rules = json!([
        rule("RestrictBots"),
        rule_of("AllowUsers", "user_ids", &[boris.0, anna.0]),
        rule_of("RestrictChatMembers", "chat_ids", &[group.tdlib_chat_id()]),
        rule("AllowContacts"),
        rule_of("RestrictUsers", "user_ids", &[boris.0]),
        rule("AllowAll"),
    ]);
    let held = [
        PrivacyRule::RestrictBots,
        PrivacyRule::AllowUsers(vec![boris, anna]),
        PrivacyRule::RestrictChats(vec![group.chat().unwrap()]),
        PrivacyRule::AllowContacts,
        PrivacyRule::RestrictUsers(vec![boris]),
        PrivacyRule::AllowAll,
    ];
    let object = json!({"@type": "userPrivacySettingRules", "rules": rules});
    for form in [rules.clone(), object] {
        scene.result("set_privacy_setting", bio(json!([]))).await;
        assert_eq!(scene.account.privacy(PrivacyKey::About), [PrivacyRule::RestrictAll]);
        let set = scene.result("set_privacy_setting", bio(form)).await;
        assert_eq!(scene.account.privacy(PrivacyKey::About), held);
        assert_eq!((&set["rules"], &set["summary"]["canonical"]), (&rules, &json!(false)));
        assert_eq!(set["summary"]["mode"], "contacts", "the first that says so");
        while scene.next_in_other(RULES).await != set {}
        let read = scene.result("get_privacy_setting", json!({"setting": "show_bio"})).await;
        assert_eq!(read, set);
    }
    // TDLib takes rules that it has never read for empty, so the other session saw no update when
    // nobody was allowed at first.
    let log = scene.other.log(2).await;
    let heard = log.iter().filter(|(_, event)| event["payload"]["type"] == RULES).count();
    assert_eq!(heard, 3, "of the four changes");

    // A final rule that restricts everyone is implied, so TDLib does not return it.
    let closed = [rule("AllowContacts"), rule("RestrictAll")];
    scene.tdlib("setUserPrivacySettingRules", set_rules(BIO, &closed)).await;
    let held = [PrivacyRule::AllowContacts, PrivacyRule::RestrictAll];
    assert_eq!(scene.account.privacy(PrivacyKey::About), held);
    let read = scene.tdlib("getUserPrivacySettingRules", json!({"setting": {"@type": BIO}})).await;
    assert_eq!(read["rules"], json!([rule("AllowContacts")]));
    let set = scene.result("set_privacy_setting", bio(json!([rule("RestrictAll")]))).await;
    assert_eq!((&set["rules"], &set["summary"]["mode"]), (&json!([]), &json!("nobody")));
    assert_eq!(set["summary"]["canonical"], true);

    // Telegram enforces the limits of individual settings.
    let fault = Fault::error(400, "PRIVACY_VALUE_INVALID").method(SET).times(1);
    scene.world.sandbox.inject(fault);
    let all = bio(json!([rule("AllowAll")]));
    let info = scene.passed_on("set_privacy_setting", all.clone(), "PRIVACY_VALUE_INVALID").await;
    assert_eq!(info["tdlib_code"], 400);
    assert_eq!(scene.account.privacy(PrivacyKey::About), [PrivacyRule::RestrictAll]);
    // A change that took effect but cannot be read back is reported as just that.
    scene.result("set_privacy_setting", all).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_tdlib_would_misread_are_refused() {
    let mut scene = Scene::two_sessions().await;
    let anna = scene.account.contacts()[0].0;
    let group = scene.account.groups()[1].tdlib_chat_id();
    scene.load_peers().await;
    let all = rule("AllowAll");
    let with = |rule: Value| bio(json!([rule, all]));
    let mistyped = json!({"@type": "userPrivacySettingRuleRestrictUsers", "user_id": [anna]});
    let unknown = rule_of("RestrictUsers", "user_ids", &[987_654_321]);

    // TDLib accepts both and restricts nobody: everyone would see what they must not.
    for bad in [&mistyped, &unknown] {
        let params = set_rules(BIO, &[bad.clone(), all.clone()]);
        assert_eq!(scene.tdlib("setUserPrivacySettingRules", params).await, json!({"@type": "ok"}));
        assert_eq!(scene.account.privacy(PrivacyKey::About), [PrivacyRule::AllowAll]);
    }
    let changes = scene.calls(SET);

    let shape = "rules must be a userPrivacySettingRules object or a list of rules";
    let users: Vec<i64> = (1..=1_001).collect();
    let chats: Vec<i64> = (1..=21).map(|id: i64| -id).collect();
    let both =
        |field: &str, value: Value| json!({"setting": "show_bio", "rules": [], field: value});
    let private = format!("chat {anna} is not a known group");
    let cases = [
        (with(mistyped), "unknown field: user_id"),
        (with(unknown), "user 987654321 is unknown"),
        (bio(json!(5)), shape),
        (bio(json!("AllowAll")), shape),
        (bio(json!({"rules": []})), shape),
        (bio(json!({"@type": "userPrivacySettingRules"})), shape),
        (bio(json!({"@type": "userPrivacySettingRules", "rules": [], "x": 1})), shape),
        (with(json!("userPrivacySettingRuleAllowAll")), shape),
        (with(json!({"user_ids": [anna]})), shape),
        (
            with(rule("AllowCloseFriends")),
            "unsupported privacy rule: userPrivacySettingRuleAllowCloseFriends",
        ),
        (with(json!({"@type": "AllowAll"})), "unsupported privacy rule: AllowAll"),
        (with(json!({"@type": all["@type"], "user_ids": []})), "unknown field: user_ids"),
        (with(rule("RestrictUsers")), "user_ids is required"),
        (with(rule("RestrictChatMembers")), "chat_ids is required"),
        (with(rule_of("AllowUsers", "user_ids", &[])), "user_ids must not be empty"),
        (with(rule_of("AllowChatMembers", "chat_ids", &[])), "chat_ids must not be empty"),
        (
            with(json!({"@type": "userPrivacySettingRuleRestrictUsers", "user_ids": anna})),
            "user_ids must be a list of integers",
        ),
        (
            with(rule_of("RestrictChatMembers", "chat_ids", &[-987])),
            "chat -987 is not a known group",
        ),
        (with(rule_of("RestrictChatMembers", "chat_ids", &[anna])), &private),
        (with(rule_of("RestrictUsers", "user_ids", &users)), "too many users in rules"),
        (with(rule_of("RestrictChatMembers", "chat_ids", &chats)), "too many chats in rules"),
        (both("allow_bots", json!(false)), "allow_bots can't be combined with rules"),
        (both("allow_user_ids", json!([])), "allow_user_ids can't be combined with rules"),
        (
            both("allow_new_chats_from_unknown_users", json!(true)),
            "allow_new_chats_from_unknown_users can't be combined with rules",
        ),
    ];
    scene.refused("set_privacy_setting", &cases).await;
    assert_eq!(scene.calls(SET), changes, "nothing was sent");
    let good = with(rule_of("RestrictChatMembers", "chat_ids", &[group]));
    scene.result("set_privacy_setting", good).await;
    scene.end().await;
}
