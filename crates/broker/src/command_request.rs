//! Commands as a caller makes them.

use std::fmt;

use bytes::Bytes;
use contracts::{
    AccountId, CommandEnvelope, CommandId, Flow, Properties, RESERVED_FIELDS, RoutingKey,
    ShardCount,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::error::PublishError;
use crate::message::Message;

/// Longest short string of AMQP 0-9-1, in bytes.
const MAX_SHORT: usize = 255;

/// One command to be published.
#[derive(Clone)]
pub struct CommandRequest {
    /// The account: `userbot_id`.
    pub account: AccountId,
    /// The command's name, such as `get_active_sessions`.
    pub command: String,
    /// The command's own fields.
    pub fields: Map<String, Value>,
    /// The id; use the same one when an unconfirmed publish is repeated. Without one, each publish
    /// makes a new one.
    pub command_id: Option<CommandId>,
    /// Echoed in the answer; at most 255 bytes.
    pub correlation_id: Option<String>,
    /// W3C Trace Context of the caller; at most 255 bytes.
    pub traceparent: Option<String>,
    /// Which of the shard's two streams; by default the one for a person who waits.
    pub flow: Flow,
    /// The command is not run after this time; by default [`contracts::DEFAULT_DEADLINE`] after the
    /// publish, or [`contracts::SECRET_DEADLINE`] if it has a secret.
    pub deadline: Option<Timestamp>,
    /// Only an owner with this epoch may run it.
    pub expected_owner_epoch: Option<u64>,
}

/// Fields may be secrets (a login code): only their names show.
impl fmt::Debug for CommandRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandRequest")
            .field("account", &self.account)
            .field("command", &self.command)
            .field("fields", &self.fields.keys().collect::<Vec<_>>())
            .field("command_id", &self.command_id)
            .finish_non_exhaustive()
    }
}

impl CommandRequest {
    /// A command without fields, everything else by default.
    pub fn new(account: AccountId, command: impl Into<String>) -> Self {
        Self {
            account,
            command: command.into(),
            fields: Map::new(),
            command_id: None,
            correlation_id: None,
            traceparent: None,
            flow: Flow::default(),
            deadline: None,
            expected_owner_epoch: None,
        }
    }

    /// Sets one of the command's own fields.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// The message: body and AMQP properties agree.
    pub(crate) fn message(
        &self,
        count: ShardCount,
        now: Timestamp,
    ) -> Result<(CommandId, Message), PublishError> {
        let id = self.command_id.clone().unwrap_or_else(CommandId::random);
        let key = RoutingKey::new(self.flow, count, self.account, &self.command);
        self.check(&key.to_string())?;
        let envelope = CommandEnvelope {
            name: &self.command,
            account: self.account,
            fields: &self.fields,
            id: &id,
            correlation_id: self.correlation_id.as_deref(),
            traceparent: self.traceparent.as_deref(),
            issued_at: now,
            deadline: self.deadline,
            flow: self.flow,
            shard: key.shard,
            expected_owner_epoch: self.expected_owner_epoch,
        };
        let body = envelope
            .encode()
            .map_err(|_| PublishError::Invalid("the fields cannot be written as JSON"))?;
        let properties = Properties {
            message_id: Some(id.as_str().to_owned()),
            correlation_id: self.correlation_id.clone(),
            reply_to: None,
            traceparent: self.traceparent.clone(),
            caller: None,
        };
        let message = Message {
            key: key.to_string(),
            body: Bytes::from(body),
            properties,
            timestamp: u64::try_from(now.as_second()).ok(),
            expired: false,
            forwarded: false,
            unreadable: None,
        };
        Ok((id, message))
    }

    fn check(&self, key: &str) -> Result<(), PublishError> {
        let long = |text: &Option<String>| text.as_ref().is_some_and(|text| MAX_SHORT < text.len());
        if self.command.is_empty() {
            return Err(PublishError::Invalid("command must not be empty"));
        }
        if MAX_SHORT < key.len() {
            return Err(PublishError::Invalid("the command's name is too long"));
        }
        if long(&self.correlation_id) || long(&self.traceparent) {
            return Err(PublishError::Invalid("correlation_id or traceparent is too long"));
        }
        if RESERVED_FIELDS.iter().any(|name| self.fields.contains_key(*name)) {
            return Err(PublishError::Invalid("a field has the name of an envelope member"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use contracts::Command;

    use super::*;

    fn message(request: &CommandRequest) -> Result<(CommandId, Message), PublishError> {
        let now = Timestamp::from_millisecond(1_795_000_000_000).unwrap();
        request.message(ShardCount::new(64).unwrap(), now)
    }

    fn send_code() -> CommandRequest {
        CommandRequest::new(AccountId::new(1).unwrap(), "send_code").field("code", "12345")
    }

    #[test]
    fn every_member_reaches_the_envelope() {
        let request = CommandRequest {
            command_id: CommandId::new("c-1"),
            correlation_id: Some("k".to_owned()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            expected_owner_epoch: Some(42),
            ..send_code()
        };
        let (_, message) = message(&request).unwrap();
        assert_eq!(message.key, "cmd_hi.s055.acc.1.send_code");
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        let expected = serde_json::json!({
            "command": "send_code", "userbot_id": 1, "code": "12345", "command_id": "c-1",
            "_meta": {
                "schema_version": "v1", "correlation_id": "k", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                "issued_at": "2026-11-18T11:06:40.000Z", "deadline": "2026-11-18T11:08:40.000Z",
                "flow": "cmd_hi", "shard": "s055", "expected_owner_epoch": 42,
            },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn the_reader_finds_body_properties_and_key_in_agreement() {
        let request = CommandRequest { correlation_id: Some("k".to_owned()), ..send_code() };
        let (id, message) = message(&request).unwrap();
        let key = message.key.parse().unwrap();
        let command = Command::read(&message.body, &message.properties, Some(&key)).unwrap();
        assert_eq!((&*command.name, command.id), ("send_code", Some(id)));
        assert_eq!(command.meta.correlation_id.as_deref(), Some("k"));
        assert_eq!(command.fields.len(), 1);
    }

    #[test]
    fn what_no_envelope_can_hold_is_refused() {
        let long = "x".repeat(256);
        let wrong = [
            CommandRequest { command: String::new(), ..send_code() },
            CommandRequest { command: long.clone(), ..send_code() },
            CommandRequest { correlation_id: Some(long), ..send_code() },
            send_code().field("userbot_id", 2),
            send_code().field("_meta", 2),
        ];
        for request in wrong {
            assert!(matches!(message(&request), Err(PublishError::Invalid(_))), "{request:?}");
        }
    }

    #[test]
    fn debug_output_never_shows_a_value() {
        assert!(!format!("{:?}", send_code()).contains("12345"));
    }
}
