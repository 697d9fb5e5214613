//! The answer to a message that reaches no account.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

use crate::command::{Command, Properties, UnreadableCommand};
use crate::error::ErrorInfo;
use crate::event::SCHEMA_VERSION;
use crate::route::RoutingKey;

/// The error event that answers a message for which no owner can be found: the error's text, and
/// the same for programs. It has no event id, because it is in nobody's log; what could not be read of
/// the message is `null`.
pub fn unroutable_event(
    body: &[u8],
    properties: &Properties,
    key: Option<&RoutingKey>,
    (error, info): (&str, &ErrorInfo),
    occurred_at: Timestamp,
) -> Bytes {
    let (name, account, id) = match Command::read(body, properties, key) {
        Ok(command) => (Some(command.name.into_owned()), Some(command.account), command.id),
        Err(UnreadableCommand { name, account, id, .. }) => (name, account, id),
    };
    let event = json!({
        "type": "chat_update",
        "userbot_id": account,
        "payload": {
            "userbot_id": account,
            "type": format!("{}_error", name.as_deref().unwrap_or("command")),
            "error": error,
            "error_info": info,
            "_meta": {
                "command_id": id,
                "correlation_id": properties.correlation_id,
                "occurred_at": format!("{occurred_at:.3}"),
                "schema_version": SCHEMA_VERSION,
            },
        },
    });
    Bytes::from(event.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn event(body: &[u8]) -> Value {
        let properties =
            Properties { correlation_id: Some("k".to_owned()), ..Properties::default() };
        let error = ("no", &ErrorInfo::invalid_request());
        let json = unroutable_event(body, &properties, None, error, Timestamp::UNIX_EPOCH);
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn the_answer_has_what_could_be_read() {
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
        assert_eq!(
            event(br#"{"command": "ping", "userbot_id": 1, "command_id": "c-1"}"#),
            expected
        );
    }

    #[test]
    fn what_could_not_be_read_is_null() {
        let event = event(b"?");
        assert_eq!(event["userbot_id"], Value::Null);
        assert_eq!(event["payload"]["type"], "command_error");
        assert_eq!(event["payload"]["_meta"]["command_id"], Value::Null);
    }
}
