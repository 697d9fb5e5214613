use schemars::JsonSchema;
use serde::Serialize;
use tdlib::answers::{ActiveSessions, SessionFields};

use super::Id64;

/// Result of `get_active_sessions`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SessionList {
    /// All of them.
    sessions: Vec<SessionItem>,
    /// Id of the session that tdfleet itself is: `"0"`.
    current_session_id: Option<Id64>,
    /// All but the current one.
    other_sessions: Vec<SessionItem>,
    /// Days without activity after which Telegram ends a session.
    inactive_session_ttl_days: i32,
}

/// One session.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "TDLib's own fields")]
#[schemars(rename = "Session")]
pub(crate) struct SessionItem {
    /// 64 bits, so a decimal string on the wire.
    id: Id64,
    /// Whether it is tdfleet's own.
    is_current: bool,
    /// Whether the password of the two-step verification is still required.
    is_password_pending: bool,
    /// Whether another session still has to confirm it; see `confirm_session`.
    is_unconfirmed: bool,
    /// Whether it accepts calls.
    can_accept_calls: bool,
    /// Whether it accepts secret chats.
    can_accept_secret_chats: bool,
    /// TDLib's type name, such as `sessionTypeAndroid`.
    r#type: String,
    /// Id of its application.
    api_id: i32,
    /// Name of its application.
    application_name: String,
    /// Version of its application.
    application_version: String,
    /// Whether its application is one of Telegram's own.
    is_official_application: bool,
    /// Its device, as the application gave it.
    device_model: String,
    /// Its operating system.
    platform: String,
    /// Version of its operating system.
    system_version: String,
    /// Unix seconds.
    log_in_date: i32,
    /// Unix seconds.
    last_active_date: i32,
    /// IP address it was last seen at.
    ip_address: String,
    /// Place that belongs to the IP address, in words.
    location: String,
}

impl From<ActiveSessions> for SessionList {
    fn from(given: ActiveSessions) -> Self {
        let sessions: Vec<_> = given.sessions.into_iter().map(SessionItem::from).collect();
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

impl From<SessionFields> for SessionItem {
    fn from(given: SessionFields) -> Self {
        Self {
            id: Id64(given.id),
            is_current: given.is_current,
            is_password_pending: given.is_password_pending,
            is_unconfirmed: given.is_unconfirmed,
            can_accept_calls: given.can_accept_calls,
            can_accept_secret_chats: given.can_accept_secret_chats,
            r#type: given.r#type.unwrap_or_default().name,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_strings_and_the_current_session_stands_apart() {
        let session = |id: i64, is_current| -> SessionFields {
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
        let given = ActiveSessions {
            sessions: vec![session(0, true), session(i64::MAX, false)],
            inactive_session_ttl_days: 180,
        };
        let wire = serde_json::to_value(SessionList::from(given)).unwrap();
        assert_eq!(wire["current_session_id"], "0");
        assert_eq!(wire["sessions"][1]["id"], "9223372036854775807");
        assert_eq!(wire["sessions"][0]["type"], "sessionTypeLinux");
        assert_eq!(wire["other_sessions"], json!([wire["sessions"][1]]));
        assert_eq!(wire["inactive_session_ttl_days"], 180);
    }
}
