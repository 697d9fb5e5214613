use sandbox::Fault;
use serde_json::{Value, json};

use super::{Scene, rule};

/// Short key, TDLib's name after `userPrivacySetting`, the Telegram API's after `privacyKey`.
const SETTINGS: [(&str, &str, &str); 14] = [
    ("show_status", "ShowStatus", "StatusTimestamp"),
    ("show_profile_photo", "ShowProfilePhoto", "ProfilePhoto"),
    ("show_link_in_forwarded_messages", "ShowLinkInForwardedMessages", "Forwards"),
    ("show_phone_number", "ShowPhoneNumber", "PhoneNumber"),
    ("show_bio", "ShowBio", "About"),
    ("show_birthdate", "ShowBirthdate", "Birthday"),
    ("show_profile_audio", "ShowProfileAudio", "SavedMusic"),
    ("allow_chat_invites", "AllowChatInvites", "ChatInvite"),
    ("allow_calls", "AllowCalls", "PhoneCall"),
    ("allow_peer_to_peer_calls", "AllowPeerToPeerCalls", "PhoneP2P"),
    ("allow_finding_by_phone_number", "AllowFindingByPhoneNumber", "AddedByPhone"),
    (
        "allow_private_voice_and_video_note_messages",
        "AllowPrivateVoiceAndVideoNoteMessages",
        "VoiceMessages",
    ),
    ("autosave_gifts", "AutosaveGifts", "StarGiftsAutoSave"),
    ("allow_unpaid_messages", "AllowUnpaidMessages", "NoPaidMessages"),
];

const UNSUPPORTED: &str = "unsupported privacy setting";

fn setting(setting: Value) -> Value {
    json!({"setting": setting})
}

/// The rules of a new account.
fn expected(key: &str, tdlib: &str) -> Value {
    let contacts = matches!(key, "show_phone_number" | "show_birthdate");
    let mode = if contacts { "contacts" } else { "all" };
    json!({
        "setting": format!("userPrivacySetting{tdlib}"), "setting_type": "user_privacy",
        "setting_key": key,
        "rules": [rule(if contacts { "AllowContacts" } else { "AllowAll" })],
        "summary": {
            "mode": mode, "allow_user_ids": [], "restrict_user_ids": [], "allow_chat_ids": [],
            "restrict_chat_ids": [], "allow_premium_users": false, "allow_bots": false,
            "restrict_bots": false, "restrict_contacts": false, "canonical": true,
        },
    })
}

fn new_chats() -> Value {
    json!({"setting": "newChatPrivacySettings", "setting_type": "new_chat",
        "setting_key": "new_chats", "allow_new_chats_from_unknown_users": true,
        "incoming_paid_message_star_count": 0})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_can_be_read_by_each_of_its_names() {
    let mut scene = Scene::logged_in().await;
    for (key, tdlib, telegram) in SETTINGS {
        let name = format!("userPrivacySetting{tdlib}");
        let names = [
            json!(key),
            json!(name),
            json!(format!("privacyKey{telegram}")),
            json!(format!("inputPrivacyKey{telegram}")),
            json!({"@type": name}),
        ];
        for name in names {
            let read = scene.result("get_privacy_setting", setting(name)).await;
            assert_eq!(read, expected(key, tdlib));
        }
        let asked = telegram.to_owned();
        let calls = scene.world.sandbox.calls(Some(1), Some("account.getPrivacy"));
        assert!(calls.last().unwrap().arguments.contains(&asked), "{calls:?}");
    }
    assert_eq!(scene.calls("account.getPrivacy"), 14, "TDLib remembers what it has read");
    for name in [json!("new_chats"), json!({"@type": "newChatPrivacySettings"})] {
        assert_eq!(scene.result("get_privacy_setting", setting(name)).await, new_chats());
    }

    let many = scene.result("get_privacy_settings", json!({})).await;
    let all = SETTINGS.map(|(key, tdlib, _)| expected(key, tdlib));
    let all: Vec<_> = all.into_iter().chain([new_chats()]).collect();
    assert_eq!(many, json!({"settings": all, "requested": 15, "failed": 0, "errors": {}}));

    let unsupported = [
        json!(""),
        json!("status"),
        json!("StatusTimestamp"),
        json!("globalPrivacySettings"),
        json!("userPrivacySettingShowNothing"),
        json!(5),
        json!(["show_status"]),
        json!({}),
        json!({"@type": "userPrivacySettingShowStatus", "x": 1}),
    ];
    for name in unsupported {
        scene.refused("get_privacy_setting", &[(setting(name), UNSUPPORTED)]).await;
    }
    let cases = [
        (json!({}), "setting is required"),
        (setting(json!(null)), "setting is required"),
        (json!({"setting": "show_bio", "settings": []}), "unknown field: settings"),
    ];
    scene.refused("get_privacy_setting", &cases).await;

    // TDLib sends an update on first read, although nothing has changed.
    let log = scene.mine.log(1).await;
    let found =
        log.iter().filter(|(_, event)| event["payload"]["type"] == "updateUserPrivacySettingRules");
    assert_eq!(found.count(), 0);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_read_does_not_fail_the_others() {
    const GET: &str = "account.getPrivacy";
    let mut scene = Scene::logged_in().await;
    scene.result("get_privacy_setting", setting(json!("allow_calls"))).await;

    let fault = Fault::error(400, "PRIVACY_KEY_INVALID").method(GET);
    let fault = scene.world.sandbox.inject(fault);
    scene.passed_on("get_privacy_setting", setting(json!("show_bio")), "PRIVACY_KEY_INVALID").await;
    // Each setting counts once, whatever its name; the answer uses the first name that was sent.
    let settings = json!(["allow_calls", "inputPrivacyKeyAbout", "show_bio", "new_chats", "nope",
        "userPrivacySettingAllowCalls", "nope", {"@type": "x"}, 5]);
    let many = scene.result("get_privacy_settings", json!({"settings": settings})).await;
    let errors = json!({"inputPrivacyKeyAbout": "PRIVACY_KEY_INVALID", "nope": UNSUPPORTED,
        "x": UNSUPPORTED, "5": UNSUPPORTED});
    let read = json!([expected("allow_calls", "AllowCalls"), new_chats()]);
    assert_eq!(many, json!({"settings": read, "requested": 6, "failed": 4, "errors": errors}));
    let many = scene.result("get_privacy_settings", json!({"settings": "allow_calls"})).await;
    let read = json!([expected("allow_calls", "AllowCalls")]);
    assert_eq!(many, json!({"settings": read, "requested": 1, "failed": 0, "errors": {}}));

    let settings = json!({"settings": ["nope", {"@type": "userPrivacySettingShowBio"}]});
    let (found, info) = scene.failure("get_privacy_settings", settings).await;
    assert_eq!(found, "failed to get privacy settings");
    let errors = json!({"nope": UNSUPPORTED, "userPrivacySettingShowBio": "PRIVACY_KEY_INVALID"});
    assert_eq!(info["details"], json!({"errors": errors}));
    assert_eq!((&info["source"], &info["tdlib_code"]), (&json!("tdlib"), &json!(400)));
    let wrong = "settings must be a list or string";
    let cases = [
        (json!({"settings": []}), wrong),
        (json!({"settings": {"@type": "userPrivacySettingShowBio"}}), wrong),
        (json!({"settings": 5}), wrong),
        (json!({"settings": true}), wrong),
        (json!({"settings": "nope"}), "failed to get privacy settings"),
        (json!({"setting": "show_bio"}), "unknown field: setting"),
    ];
    for (fields, error) in cases {
        let (found, info) = scene.failure("get_privacy_settings", fields).await;
        assert_eq!((found.as_str(), &info["code"]), (error, &json!("invalid_request")));
    }
    scene.world.sandbox.remove_fault(fault);
    let all = scene.result("get_privacy_settings", json!({})).await;
    assert_eq!((&all["requested"], &all["failed"]), (&json!(15), &json!(0)), "none is remembered");
    scene.end().await;
}
