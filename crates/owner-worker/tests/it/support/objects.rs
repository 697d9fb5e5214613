//! TDLib's objects, as 1.8.61 writes them.

use serde_json::{Value, json};
use testkit::Reply;

/// A session, by id; the current one is 0.
pub(crate) fn session(id: i64) -> Value {
    json!({
        "@type": "session", "id": id.to_string(), "is_current": id == 0,
        "is_password_pending": false, "is_unconfirmed": false, "can_accept_secret_chats": true,
        "can_accept_calls": false, "type": {"@type": "sessionTypeAndroid"}, "api_id": 6,
        "application_name": "App", "application_version": "1.0", "is_official_application": true,
        "device_model": "Phone", "platform": "Android", "system_version": "14",
        "log_in_date": 1_790_000_000, "last_active_date": 1_795_000_000,
        "ip_address": "127.0.0.1", "location": "Nowhere",
    })
}

/// A list of sessions.
pub(crate) fn sessions(list: &[Value]) -> Value {
    json!({"@type": "sessions", "sessions": list, "inactive_session_ttl_days": 180})
}

/// A session with another value of one of its fields.
pub(crate) fn session_with(id: i64, field: &str, value: Value) -> Value {
    let mut session = session(id);
    session[field] = value;
    session
}

/// A file, by id.
pub(crate) fn file(id: i32) -> Value {
    json!({
        "@type": "file", "id": id, "size": 10, "expected_size": 10,
        "local": {"@type": "localFile", "path": "", "can_be_downloaded": true,
            "can_be_deleted": false, "is_downloading_active": false,
            "is_downloading_completed": false, "download_offset": 0,
            "downloaded_prefix_size": 0, "downloaded_size": 0},
        "remote": {"@type": "remoteFile", "id": format!("remote-{id}"), "unique_id": "u",
            "is_uploading_active": false, "is_uploading_completed": true, "uploaded_size": 10},
    })
}

/// A user, who is a contact, by id.
pub(crate) fn user(id: i64) -> Value {
    json!({
        "@type": "user", "id": id, "first_name": "Ada", "last_name": "Lovelace",
        "usernames": {"@type": "usernames", "active_usernames": ["ada", "ada2"],
            "disabled_usernames": [], "editable_username": "ada", "collectible_usernames": []},
        "phone_number": "", "status": {"@type": "userStatusEmpty"},
        "profile_photo": {"@type": "profilePhoto", "id": "77", "small": file(5), "big": file(6),
            "has_animation": false, "is_personal": false},
        "accent_color_id": 1, "background_custom_emoji_id": "0", "profile_accent_color_id": -1,
        "profile_background_custom_emoji_id": "0", "is_contact": true, "is_mutual_contact": false,
        "is_close_friend": false, "is_premium": false, "is_support": false,
        "restricts_new_chats": false, "paid_message_star_count": 0, "have_access": true,
        "type": {"@type": "userTypeRegular"}, "language_code": "",
        "added_to_attachment_menu": false,
    })
}

/// A chat of that type, by id.
pub(crate) fn chat(id: i64, kind: Value) -> Value {
    json!({
        "@type": "chat", "id": id, "type": kind, "title": "The group",
        "photo": {"@type": "chatPhotoInfo", "small": file(8), "big": file(9),
            "has_animation": false, "is_personal": false},
        "block_list": null, "positions": [], "last_message": {"@type": "message"},
    })
}

pub(crate) fn supergroup(is_channel: bool) -> Value {
    json!({"@type": "chatTypeSupergroup", "supergroup_id": 5, "is_channel": is_channel})
}

/// A page of a block list, of these users.
pub(crate) fn blocked(total: i32, users: &[i64]) -> Value {
    let sender = |id| json!({"@type": "messageSenderUser", "user_id": id});
    let senders: Vec<_> = users.iter().map(sender).collect();
    json!({"@type": "messageSenders", "total_count": total, "senders": senders})
}

/// Privacy rules.
pub(crate) fn rules(list: &[Value]) -> Value {
    json!({"@type": "userPrivacySettingRules", "rules": list})
}

/// One rule without fields, such as `AllowAll`.
pub(crate) fn rule(name: &str) -> Value {
    json!({"@type": format!("userPrivacySettingRule{name}")})
}

/// One rule on users, such as `AllowUsers`.
pub(crate) fn users_rule(name: &str, ids: &[i64]) -> Value {
    json!({"@type": format!("userPrivacySettingRule{name}"), "user_ids": ids})
}

/// One rule on chats, such as `AllowChatMembers`.
pub(crate) fn chats_rule(name: &str, ids: &[i64]) -> Value {
    json!({"@type": format!("userPrivacySettingRule{name}"), "chat_ids": ids})
}

/// What TDLib says of something that it does not know.
pub(crate) fn not_found() -> Reply {
    Reply::error(404, "Not Found")
}
