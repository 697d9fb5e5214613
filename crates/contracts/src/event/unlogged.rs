//! The answer to a message that is in no account's log.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

use crate::error::ErrorInfo;
use crate::event::SCHEMA_VERSION;
use crate::ids::{AccountId, CommandId};

/// An error event that goes to `reply_to` alone: no account's log can hold it, so it has no event
/// id. What is not known of the message is `null`.
#[derive(Debug)]
pub struct UnloggedError<'a> {
    /// The account that the message was addressed to.
    pub account: Option<AccountId>,
    /// The command's name, letters, digits and `_`; `command` if it has none.
    pub command: Option<&'a str>,
    /// The command's id.
    pub id: Option<&'a CommandId>,
    /// Echoed.
    pub correlation_id: Option<&'a str>,
    /// The error string.
    pub error: &'a str,
    /// The same for programs.
    pub info: &'a ErrorInfo,
    /// When the message was refused.
    pub occurred_at: Timestamp,
}

impl UnloggedError<'_> {
    /// The event's JSON.
    pub fn encode(&self) -> Bytes {
        let Self { account, command, id, correlation_id, error, info, occurred_at } = self;
        let event = json!({
            "type": "chat_update",
            "userbot_id": account,
            "payload": {
                "userbot_id": account,
                "type": format!("{}_error", command.unwrap_or("command")),
                "error": error,
                "error_info": info,
                "_meta": {
                    "command_id": id,
                    "correlation_id": correlation_id,
                    "occurred_at": format!("{occurred_at:.3}"),
                    "schema_version": SCHEMA_VERSION,
                },
            },
        });
        Bytes::from(event.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn event(account: Option<AccountId>, command: Option<&str>, id: Option<&CommandId>) -> Value {
        let (info, occurred_at) = (ErrorInfo::invalid_request(), Timestamp::UNIX_EPOCH);
        let (correlation_id, error) = (Some("k"), "no");
        let info = &info;
        let json = UnloggedError { account, command, id, correlation_id, error, info, occurred_at };
        serde_json::from_slice(&json.encode()).unwrap()
    }

    #[test]
    fn the_answer_has_what_is_known() {
        let meta = json!({
            "command_id": "c-1", "correlation_id": "k", "occurred_at": "1970-01-01T00:00:00.000Z",
            "schema_version": "v1",
        });
        let info = json!({"code": "invalid_request", "source": "validation", "retriable": false});
        let expected = json!({
            "type": "chat_update", "userbot_id": 1,
            "payload": {
                "userbot_id": 1, "type": "ping_error", "error": "no", "error_info": info, "_meta": meta,
            },
        });
        let id = CommandId::new("c-1");
        assert_eq!(event(AccountId::new(1), Some("ping"), id.as_ref()), expected);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let event = event(None, None, None);
        assert_eq!(event["userbot_id"], Value::Null);
        assert_eq!(event["payload"]["type"], "command_error");
        assert_eq!(event["payload"]["_meta"]["command_id"], Value::Null);
    }
}
