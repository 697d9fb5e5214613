use std::time::Duration;

use sandbox::{Fault, PrivacyKey, PrivacyRule};
use serde_json::{Value, json};

use super::{Scene, rule, rule_of};

const SET: &str = "account.setPrivacy";
const RULES: &str = "updateUserPrivacySettingRules";

fn bio(mut fields: Value) -> Value {
    fields["setting"] = json!("show_bio");
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mode_with_exceptions_becomes_rules_in_the_canonical_order() {
    let mut scene = Scene::two_sessions().await;
    let [anna, boris, clara] = scene.account.contacts()[..] else { panic!("three contacts") };
    let [basic, supergroup] = scene.account.groups()[..] else { panic!("two groups") };
    let [basic_id, supergroup_id] = [basic, supergroup].map(sandbox::Peer::tdlib_chat_id);
    scene.load_peers().await;

    let everything = json!({
        "mode": "contacts", "restrict_contacts": true, "restrict_bots": true, "allow_bots": true,
        "allow_premium_users": true, "restrict_chat_ids": [supergroup_id],
        "allow_chat_ids": [basic_id, basic_id], "restrict_user_ids": [clara.0],
        "allow_user_ids": [boris.0, anna.0, boris.0],
    });
    let set = scene.result("set_privacy_setting", bio(everything)).await;
    let rules = json!([
        rule_of("AllowUsers", "user_ids", &[boris.0, anna.0]),
        rule_of("RestrictUsers", "user_ids", &[clara.0]),
        rule_of("AllowChatMembers", "chat_ids", &[basic_id]),
        rule_of("RestrictChatMembers", "chat_ids", &[supergroup_id]),
        rule("AllowPremiumUsers"),
        rule("AllowBots"),
        rule("RestrictBots"),
        rule("RestrictContacts"),
        rule("AllowContacts"),
    ]);
    let summary = json!({
        "mode": "contacts", "allow_user_ids": [boris.0, anna.0], "restrict_user_ids": [clara.0],
        "allow_chat_ids": [basic_id], "restrict_chat_ids": [supergroup_id],
        "allow_premium_users": true, "allow_bots": true, "restrict_bots": true,
        "restrict_contacts": true, "canonical": true,
    });
    let privacy = json!({"setting": "userPrivacySettingShowBio", "setting_type": "user_privacy",
        "setting_key": "show_bio", "rules": rules, "summary": summary});
    assert_eq!(set, privacy);
    let held = vec![
        PrivacyRule::AllowUsers(vec![boris, anna]),
        PrivacyRule::RestrictUsers(vec![clara]),
        PrivacyRule::AllowChats(vec![basic.chat().unwrap()]),
        PrivacyRule::RestrictChats(vec![supergroup.chat().unwrap()]),
        PrivacyRule::AllowPremium,
        PrivacyRule::AllowBots,
        PrivacyRule::RestrictBots,
        PrivacyRule::RestrictContacts,
        PrivacyRule::AllowContacts,
        PrivacyRule::RestrictAll,
    ];
    assert_eq!(scene.account.privacy(PrivacyKey::About), held);
    assert_eq!(scene.next_in_other(RULES).await, privacy, "the other session hears the same");
    assert_eq!(
        scene.results(RULES, 1).await,
        std::slice::from_ref(&privacy),
        "and so do this one's listeners"
    );

    // A canonical summary, sent back, results in the same rules.
    for mode in ["all", "nobody", "contacts"] {
        let set = scene.result("set_privacy_setting", bio(json!({"mode": mode}))).await;
        assert_eq!(set["summary"]["mode"], mode);
        let found = scene.next_in_other(RULES).await;
        assert_eq!(found, set, "{mode}");
    }
    let mut again = summary.clone();
    again.as_object_mut().unwrap().remove("canonical");
    assert_eq!(scene.result("set_privacy_setting", bio(again)).await, privacy);
    assert_eq!(scene.account.privacy(PrivacyKey::About), held);

    // TDLib omits a final rule that restricts everyone.
    let nobody = json!({"mode": "nobody", "allow_user_ids": [], "allow_bots": false,
        "restrict_user_ids": null});
    let set = scene.result("set_privacy_setting", bio(nobody)).await;
    assert_eq!((&set["rules"], &set["summary"]["canonical"]), (&json!([]), &json!(true)));
    assert_eq!(scene.account.privacy(PrivacyKey::About), [PrivacyRule::RestrictAll]);

    // Changes by the other session arrive here.
    let all = bio(json!({"mode": "all"}));
    let set = scene.other.call(2, "set_privacy_setting", all).await;
    assert!(set["payload"]["result"].is_object(), "{set}");
    // After the initial rules: three modes, those rules again, and nobody.
    let found = scene.results(RULES, 7).await;
    assert_eq!((found.len(), &found[6]), (7, &set["payload"]["result"]));
    assert_eq!(scene.account.privacy(PrivacyKey::About), [PrivacyRule::AllowAll]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_mode_changes_nothing() {
    let mut scene = Scene::two_sessions().await;
    let anna = scene.account.contacts()[0].0;
    let [basic, supergroup] = scene.account.groups()[..] else { panic!("two groups") };
    let [basic, supergroup] = [basic, supergroup].map(sandbox::Peer::tdlib_chat_id);
    scene.load_peers().await;
    let mode = |field: &str, value: Value| bio(json!({"mode": "all", field: value}));
    let modes = "mode must be one of: all, contacts, nobody";
    let ids = "must be a list of integers";
    let users: Vec<i64> = (1..=1_001).collect();
    let chats: Vec<i64> = (1..=21).map(|id: i64| -id).collect();
    let both_users = format!("user {anna} is both allowed and restricted");
    let both_chats = format!("chat {basic} is both allowed and restricted");
    let private = format!("chat {anna} is not a known group");
    let cases = [
        (json!({"mode": "all"}), "setting is required"),
        (json!({"mode": "all", "setting": "bio"}), "unsupported privacy setting"),
        (bio(json!({})), modes),
        (bio(json!({"mode": "everybody"})), modes),
        (bio(json!({"mode": 1})), modes),
        (bio(json!({"mode": null, "allow_user_ids": [anna]})), modes),
        (mode("colour", json!(1)), "unknown field: colour"),
        (mode("allow_user_ids", json!(anna)), &format!("allow_user_ids {ids}")),
        (mode("restrict_user_ids", json!([1.5])), &format!("restrict_user_ids {ids}")),
        (mode("allow_chat_ids", json!(["-5"])), &format!("allow_chat_ids {ids}")),
        (mode("restrict_chat_ids", json!({})), &format!("restrict_chat_ids {ids}")),
        (mode("allow_premium_users", json!(1)), "allow_premium_users must be a boolean"),
        (mode("allow_bots", json!("no")), "allow_bots must be a boolean"),
        (mode("restrict_bots", json!([])), "restrict_bots must be a boolean"),
        (mode("restrict_contacts", json!(0)), "restrict_contacts must be a boolean"),
        (mode("rules", json!([])), "rules can't be combined with mode"),
        (
            mode("allow_new_chats_from_unknown_users", json!(true)),
            "allow_new_chats_from_unknown_users can't be combined with mode",
        ),
        (
            mode("incoming_paid_message_star_count", json!(0)),
            "incoming_paid_message_star_count can't be combined with mode",
        ),
        (
            bio(json!({"mode": "all", "allow_user_ids": [1, anna], "restrict_user_ids": [anna]})),
            &both_users,
        ),
        (
            bio(json!({"mode": "all", "allow_chat_ids": [basic, supergroup],
                "restrict_chat_ids": [basic]})),
            &both_chats,
        ),
        (mode("restrict_user_ids", json!(users)), "too many users in rules"),
        (mode("restrict_chat_ids", json!(chats)), "too many chats in rules"),
        (mode("restrict_user_ids", json!([anna, 987_654_321])), "user 987654321 is unknown"),
        (mode("restrict_chat_ids", json!([basic, -987])), "chat -987 is not a known group"),
        (mode("restrict_chat_ids", json!([anna])), &private),
    ];
    scene.refused("set_privacy_setting", &cases).await;
    assert_eq!((scene.calls(SET), scene.calls("account.setGlobalPrivacySettings")), (0, 0));
    assert_eq!(scene.account.privacy(PrivacyKey::About), [PrivacyRule::AllowAll]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_of_one_setting_each_read_back_their_own() {
    let mut scene = Scene::logged_in().await;
    scene.world.sandbox.inject(Fault::delay(Duration::from_secs(1)).method(SET));
    scene.send_low("set_privacy_setting", bio(json!({"mode": "contacts"}))).await;
    scene.send_low("set_privacy_setting", bio(json!({"mode": "nobody"}))).await;
    scene.result("set_privacy_setting", bio(json!({"mode": "all"}))).await;
    let answers = scene.mine.answers(1, scene.sent).await;
    let mut modes: Vec<_> = answers
        .iter()
        .filter_map(|event| event["payload"]["result"]["summary"]["mode"].as_str())
        .collect();
    modes.sort_unstable();
    assert_eq!(modes, ["all", "contacts", "nobody"]);
    scene.end().await;
}
