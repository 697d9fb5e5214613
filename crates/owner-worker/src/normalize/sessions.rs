use serde::{Serialize, Serializer};
use tdlib::{enums, types};

/// Result of `get_active_sessions`.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the wire's own names")]
pub(crate) struct Sessions {
    sessions: Vec<Session>,
    /// Id of the session that tdfleet itself is, a decimal string: `"0"`.
    #[serde(serialize_with = "optional_id")]
    current_session_id: Option<i64>,
    /// All but the current one.
    other_sessions: Vec<Session>,
    /// Days without activity after which Telegram ends a session.
    inactive_session_ttl_days: i32,
}

/// One session.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "TDLib's own fields")]
pub(crate) struct Session {
    /// 64 bits, so a decimal string on the wire.
    #[serde(serialize_with = "id")]
    id: i64,
    is_current: bool,
    is_password_pending: bool,
    is_unconfirmed: bool,
    can_accept_calls: bool,
    can_accept_secret_chats: bool,
    /// TDLib's type name, such as `sessionTypeAndroid`.
    r#type: String,
    api_id: i32,
    application_name: String,
    application_version: String,
    is_official_application: bool,
    device_model: String,
    platform: String,
    system_version: String,
    /// Unix seconds.
    log_in_date: i32,
    /// Unix seconds.
    last_active_date: i32,
    ip_address: String,
    location: String,
}

impl From<types::Sessions> for Sessions {
    fn from(given: types::Sessions) -> Self {
        let sessions: Vec<_> = given.sessions.into_iter().map(Session::from).collect();
        Self {
            current_session_id: sessions.iter().find(|session| session.is_current).map(|s| s.id),
            other_sessions: sessions
                .iter()
                .filter(|session| !session.is_current)
                .cloned()
                .collect(),
            sessions,
            inactive_session_ttl_days: given.inactive_session_ttl_days,
        }
    }
}

impl From<types::Session> for Session {
    fn from(given: types::Session) -> Self {
        Self {
            id: given.id,
            is_current: given.is_current,
            is_password_pending: given.is_password_pending,
            is_unconfirmed: given.is_unconfirmed,
            can_accept_calls: given.can_accept_calls,
            can_accept_secret_chats: given.can_accept_secret_chats,
            r#type: type_name(&given.r#type),
            api_id: given.api_id,
            application_name: given.application_name,
            application_version: given.application_version,
            is_official_application: given.is_official_application,
            device_model: given.device_model,
            platform: given.platform,
            system_version: given.system_version,
            log_in_date: given.log_in_date,
            last_active_date: given.last_active_date,
            ip_address: given.ip_address,
            location: given.location,
        }
    }
}

/// TDLib's own name of the variant, from the tag that tdlib-rs writes.
fn type_name(kind: &enums::SessionType) -> String {
    let json = serde_json::to_value(kind).unwrap_or_default();
    json.get("@type").and_then(|name| name.as_str()).unwrap_or("sessionTypeUnknown").to_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn id<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn optional_id<S: Serializer>(id: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_strings_and_the_current_session_stands_apart() {
        let session = |id: i64, is_current| -> types::Session {
            let json = json!({
                "id": id.to_string(), "is_current": is_current, "is_password_pending": false,
                "is_unconfirmed": false, "can_accept_secret_chats": true, "can_accept_calls": true,
                "type": {"@type": "sessionTypeLinux"}, "api_id": 1, "application_name": "a",
                "application_version": "1", "is_official_application": false, "device_model": "box",
                "platform": "p", "system_version": "s", "log_in_date": 1, "last_active_date": 2,
                "ip_address": "127.0.0.1", "location": "here",
            });
            serde_json::from_value(json).unwrap()
        };
        let given = types::Sessions {
            sessions: vec![session(0, true), session(i64::MAX, false)],
            inactive_session_ttl_days: 180,
        };
        let wire = serde_json::to_value(Sessions::from(given)).unwrap();
        assert_eq!(wire["current_session_id"], "0");
        assert_eq!(wire["sessions"][1]["id"], "9223372036854775807");
        assert_eq!(wire["sessions"][0]["type"], "sessionTypeLinux");
        assert_eq!(wire["other_sessions"], json!([wire["sessions"][1]]));
        assert_eq!(wire["inactive_session_ttl_days"], 180);
    }
}
