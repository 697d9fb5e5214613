use bytes::Bytes;
use contracts::{Command, SCHEMA_VERSION, Unreadable};
use runtime::Clock;
use serde_json::json;

use crate::message::Message;

/// The answer to a message that no owner could be found for. It has the form of an event, and no
/// event id, since it is in nobody's log.
pub(crate) fn refusal(message: &Message, reason: &str) -> Bytes {
    let Message { body, properties, key, .. } = message;
    let key = key.parse().ok();
    let (name, account, id) = match Command::read(body, properties, key.as_ref()) {
        Ok(command) => (Some(command.name.into_owned()), Some(command.account), command.id),
        Err(Unreadable { name, account, id, .. }) => (name, account, id),
    };
    let event = json!({
        "type": "chat_update",
        "userbot_id": account,
        "payload": {
            "userbot_id": account,
            "type": format!("{}_error", name.as_deref().unwrap_or("command")),
            "error": reason,
            "error_info": Unreadable::info(),
            "_meta": {
                "command_id": id,
                "correlation_id": properties.correlation_id,
                "occurred_at": format!("{:.3}", Clock::system().now()),
                "schema_version": SCHEMA_VERSION,
            },
        },
    });
    Bytes::from(event.to_string())
}
