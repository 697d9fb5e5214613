//! TDLib's objects, as 1.8.61 writes them.

use serde_json::{Value, json};
use testkit::Reply;

/// One of the objects in `data/objects.json`, by its name there.
pub(crate) fn recorded(name: &str) -> Value {
    let objects: Value = serde_json::from_str(include_str!("../../data/objects.json")).unwrap();
    objects[name].clone()
}

/// A session; the current one has the id 0.
pub(crate) fn session(id: i64) -> Value {
    let mut session = recorded("session");
    session["id"] = json!(id.to_string());
    session["is_current"] = json!(id == 0);
    session
}

/// A list of sessions.
pub(crate) fn sessions(list: &[Value]) -> Value {
    json!({"@type": "sessions", "sessions": list, "inactive_session_ttl_days": 180})
}

/// A session with one field changed.
pub(crate) fn session_with(id: i64, field: &str, value: Value) -> Value {
    let mut session = session(id);
    session[field] = value;
    session
}

/// A user who is a contact.
pub(crate) fn user(id: i64) -> Value {
    let mut user = recorded("user");
    user["id"] = json!(id);
    user
}

/// A chat of this type.
pub(crate) fn chat(id: i64, kind: Value) -> Value {
    let mut chat = recorded("chat");
    chat["id"] = json!(id);
    chat["type"] = kind;
    chat
}

pub(crate) fn supergroup(is_channel: bool) -> Value {
    json!({"@type": "chatTypeSupergroup", "supergroup_id": 5, "is_channel": is_channel})
}

/// A page of a block list, with these users.
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

/// TDLib's answer about something that it does not know.
pub(crate) fn not_found() -> Reply {
    Reply::error(404, "Not Found")
}
