//! Privacy rules, global privacy settings and close friends, seen from two sessions.

use sandbox::{AccountHandle, Peer, PrivacyKey, PrivacyRule, SandboxOptions};
use serde_json::{Value, json};

use crate::support::{Rig, User};

/// Every privacy setting of TDLib, and its key.
const SETTINGS: [(&str, PrivacyKey); 14] = [
    ("ShowStatus", PrivacyKey::StatusTimestamp),
    ("ShowProfilePhoto", PrivacyKey::ProfilePhoto),
    ("ShowLinkInForwardedMessages", PrivacyKey::Forwards),
    ("ShowPhoneNumber", PrivacyKey::PhoneNumber),
    ("ShowBio", PrivacyKey::About),
    ("ShowBirthdate", PrivacyKey::Birthday),
    ("ShowProfileAudio", PrivacyKey::SavedMusic),
    ("AllowChatInvites", PrivacyKey::ChatInvite),
    ("AllowCalls", PrivacyKey::PhoneCall),
    ("AllowPeerToPeerCalls", PrivacyKey::PhoneP2P),
    ("AllowFindingByPhoneNumber", PrivacyKey::AddedByPhone),
    ("AllowPrivateVoiceAndVideoNoteMessages", PrivacyKey::VoiceMessages),
    ("AutosaveGifts", PrivacyKey::StarGiftsAutoSave),
    ("AllowUnpaidMessages", PrivacyKey::NoPaidMessages),
];

async fn start() -> (Rig, AccountHandle, User) {
    let rig = Rig::start(SandboxOptions::default()).await;
    let user = rig.log_in(1).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(1)).unwrap();
    user.call("getContacts", json!({})).await.unwrap();
    (rig, account, user)
}

fn setting(name: &str) -> Value {
    json!({"@type": format!("userPrivacySetting{name}")})
}

fn rule(name: &str) -> Value {
    json!({"@type": format!("userPrivacySettingRule{name}")})
}

async fn set(user: &User, name: &str, rules: Value) {
    let rules = json!({"@type": "userPrivacySettingRules", "rules": rules});
    let call = json!({"setting": setting(name), "rules": rules});
    user.call("setUserPrivacySettingRules", call).await.unwrap();
}

async fn get(user: &User, name: &str) -> Value {
    let call = json!({"setting": setting(name)});
    user.call("getUserPrivacySettingRules", call).await.unwrap()["rules"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_reaches_its_own_key() {
    let (rig, account, user) = start().await;
    for (name, key) in SETTINGS {
        assert_ne!(account.privacy(key), [PrivacyRule::RestrictAll], "{name}");
        set(&user, name, json!([rule("RestrictAll")])).await;
        assert_eq!(account.privacy(key), [PrivacyRule::RestrictAll], "{name}");
        // TDLib leaves out a rule that restricts all at the end.
        assert_eq!(get(&user, name).await, json!([]), "{name}");
    }
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_keep_their_order_and_the_other_session_receives_them() {
    let (rig, account, first) = start().await;
    let mut second = rig.client("second").await;
    second.log_in(&rig.sandbox, 1).await;
    get(&second, "ShowBio").await;
    first.call("loadChats", json!({"limit": 20})).await.unwrap();
    let contacts = account.contacts();
    let supergroup = account.groups()[1];
    assert!(matches!(supergroup, Peer::Channel(_)));
    let mut allow = rule("AllowUsers");
    allow["user_ids"] = json!([contacts[1].0, contacts[0].0]);
    let mut restrict = rule("RestrictChatMembers");
    restrict["chat_ids"] = json!([supergroup.tdlib_chat_id()]);
    let rules = json!([allow, restrict, rule("AllowBots"), rule("AllowContacts")]);
    set(&first, "ShowBio", rules.clone()).await;
    let expected = [
        PrivacyRule::AllowUsers(vec![contacts[1], contacts[0]]),
        PrivacyRule::RestrictChats(vec![supergroup.chat().unwrap()]),
        PrivacyRule::AllowBots,
        PrivacyRule::AllowContacts,
        PrivacyRule::RestrictAll,
    ];
    assert_eq!(account.privacy(PrivacyKey::About), expected);
    let seen = second.update(|update| {
        update["@type"] == "updateUserPrivacySettingRules" && update["rules"]["rules"] == rules
    });
    assert_eq!(seen.await["setting"], setting("ShowBio"));
    first.close().await;
    second.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_ids_are_silently_dropped_from_rules() {
    let (rig, account, user) = start().await;
    let mut restrict = rule("RestrictUsers");
    restrict["user_ids"] = json!([987_654_321]);
    set(&user, "ShowBio", json!([restrict, rule("AllowAll")])).await;
    assert_eq!(account.privacy(PrivacyKey::About), [PrivacyRule::AllowAll]);
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setter_keeps_the_other_global_settings() {
    let (rig, account, user) = start().await;
    let archive = json!({
        "@type": "archiveChatListSettings",
        "archive_and_mute_new_chats_from_unknown_users": true,
        "keep_unmuted_chats_archived": true,
        "keep_chats_from_folders_archived": false,
    });
    user.call("setArchiveChatListSettings", json!({"settings": archive})).await.unwrap();
    let dates = json!({"@type": "readDatePrivacySettings", "show_read_date": false});
    user.call("setReadDatePrivacySettings", json!({"settings": dates})).await.unwrap();
    let chats = json!({
        "@type": "newChatPrivacySettings",
        "allow_new_chats_from_unknown_users": true,
        "incoming_paid_message_star_count": 25,
    });
    user.call("setNewChatPrivacySettings", json!({"settings": chats})).await.unwrap();
    let global = account.global_privacy();
    assert!(global.archive_and_mute_new && global.keep_archived_unmuted);
    assert!(!global.keep_archived_folders && global.hide_read_marks);
    assert_eq!((global.new_chats_require_premium, global.message_price), (false, 25));
    let read = user.call("getNewChatPrivacySettings", json!({})).await.unwrap();
    assert_eq!(read["incoming_paid_message_star_count"], 25);
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_options_of_new_chats_come_from_the_app_configuration() {
    let rig = Rig::start(SandboxOptions { accounts: 2, ..SandboxOptions::default() }).await;
    let account = rig.sandbox.account(&rig.sandbox.phone(2)).unwrap();
    account.let_restrict_new_chats(false);
    for (number, allowed) in [(1, true), (2, false)] {
        let user = rig.log_in(number).await;
        let probe = json!({"settings": {
            "@type": "newChatPrivacySettings", "allow_new_chats_from_unknown_users": false,
        }});
        let set = user.call("setNewChatPrivacySettings", probe).await;
        assert_eq!(set.is_ok(), allowed, "{set:?}");
        user.close().await;
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn close_friends_are_contacts_and_the_other_session_sees_them() {
    let (rig, account, first) = start().await;
    let mut second = rig.client("second").await;
    second.log_in(&rig.sandbox, 1).await;
    second.call("getContacts", json!({})).await.unwrap();
    let friends = account.contacts()[..2].to_vec();
    let ids: Vec<i64> = friends.iter().map(|friend| friend.0).collect();
    first.call("setCloseFriends", json!({"user_ids": ids})).await.unwrap();
    assert_eq!(account.close_friends(), friends);
    for id in ids {
        second
            .update(|update| {
                update["@type"] == "updateUser"
                    && update["user"]["id"] == id
                    && update["user"]["is_close_friend"] == true
            })
            .await;
    }
    first.call("setCloseFriends", json!({"user_ids": []})).await.unwrap();
    assert!(account.close_friends().is_empty());
    first.close().await;
    second.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_premium_or_stars_cannot_be_written_to() {
    let rig = Rig::start(SandboxOptions { accounts: 3, ..SandboxOptions::default() }).await;
    for (account, allow, stars) in [(2, false, 0), (3, true, 7)] {
        let user = rig.log_in(account).await;
        let settings = json!({
            "@type": "newChatPrivacySettings",
            "allow_new_chats_from_unknown_users": allow,
            "incoming_paid_message_star_count": stars,
        });
        user.call("setNewChatPrivacySettings", json!({"settings": settings})).await.unwrap();
        user.close().await;
    }
    let user = rig.log_in(1).await;
    let ask = async |username: &str| {
        let chat = user.call("searchPublicChat", json!({"username": username})).await.unwrap();
        let check = json!({"user_id": chat["id"], "only_local": false});
        user.call("canSendMessageToUser", check).await.unwrap()
    };
    assert_eq!(ask("stranger_1").await["@type"], "canSendMessageToUserResultOk");
    let premium = ask("account_2").await;
    assert_eq!(premium["@type"], "canSendMessageToUserResultUserRestrictsNewChats");
    let paid = ask("account_3").await;
    assert_eq!(paid["@type"], "canSendMessageToUserResultUserHasPaidMessages", "{paid}");
    assert_eq!(paid["outgoing_paid_message_star_count"], 7);
    user.close().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offline_session_learns_what_has_changed_when_it_reconnects() {
    let (rig, _account, first) = start().await;
    let mut second = rig.client("second").await;
    second.log_in(&rig.sandbox, 1).await;
    get(&second, "ShowBio").await;
    second.close().await;
    set(&first, "ShowBio", json!([rule("AllowContacts")])).await;
    let mut second = rig.client("second").await;
    let seen = second.update(|update| update["@type"] == "updateUserPrivacySettingRules").await;
    assert_eq!(seen["rules"]["rules"], json!([rule("AllowContacts")]));
    first.close().await;
    second.close().await;
    rig.stop().await;
}
