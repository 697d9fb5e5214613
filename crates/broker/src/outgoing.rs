//! Commands as a publisher makes them.

use std::fmt;

use bytes::Bytes;
use contracts::{AccountId, CommandId, Flow, Properties, RoutingKey, SCHEMA_VERSION, ShardCount};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::PublishError;
use crate::message::Message;

/// Time a command has to be run in, unless it names a deadline of its own.
const DEFAULT_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

/// Longest short string of AMQP 0-9-1, in bytes.
const MAX_SHORT: usize = 255;

/// One command to be published.
#[derive(Clone)]
pub struct Outgoing {
    /// The account: `userbot_id`.
    pub account: AccountId,
    /// The command's name, such as `get_active_sessions`.
    pub command: String,
    /// The command's own fields.
    pub fields: Map<String, Value>,
    /// The id; the same again when a publish that was not confirmed is repeated. Without one, each
    /// publish makes a new one.
    pub command_id: Option<CommandId>,
    /// Given back in the answer; at most 255 bytes.
    pub correlation_id: Option<String>,
    /// W3C Trace Context of the caller; at most 255 bytes.
    pub traceparent: Option<String>,
    /// Which of the shard's two streams. A person waits, unless set otherwise.
    pub flow: Flow,
    /// The command is not run after it. One hour from the publish, unless set otherwise.
    pub deadline: Option<Timestamp>,
    /// Only an owner of this epoch may run it.
    pub expected_owner_epoch: Option<u64>,
}

/// Fields may be secrets (a login code): only their names show.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("account", &self.account)
            .field("command", &self.command)
            .field("fields", &self.fields.keys().collect::<Vec<_>>())
            .field("command_id", &self.command_id)
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// The command without fields, all else as if not set.
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

    /// The message: body and AMQP properties say the same.
    pub(crate) fn message(
        &self,
        count: ShardCount,
        now: Timestamp,
    ) -> Result<(CommandId, Message), PublishError> {
        let id = self.command_id.clone().unwrap_or_else(CommandId::random);
        let key = RoutingKey::new(self.flow, count, self.account, &self.command);
        self.check(&key.to_string())?;
        let body = Body {
            command: &self.command,
            userbot_id: self.account,
            fields: &self.fields,
            command_id: &id,
            meta: self.meta(&key, now),
        };
        let body = serde_json::to_vec(&body)
            .map_err(|_| PublishError::Invalid("the fields cannot be written as JSON"))?;
        let properties = Properties {
            message_id: Some(id.as_str().to_owned()),
            correlation_id: self.correlation_id.clone(),
            reply_to: None,
            traceparent: self.traceparent.clone(),
        };
        let message = Message {
            key: key.to_string(),
            body: Bytes::from(body),
            properties,
            timestamp: u64::try_from(now.as_second()).ok(),
            expired: false,
            forwarded: false,
        };
        Ok((id, message))
    }

    fn check(&self, key: &str) -> Result<(), PublishError> {
        let reserved = ["command", "action", "userbot_id", "command_id", "_meta"];
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
        if reserved.iter().any(|name| self.fields.contains_key(*name)) {
            return Err(PublishError::Invalid("a field has a name of the envelope's"));
        }
        Ok(())
    }

    fn meta(&self, key: &RoutingKey, now: Timestamp) -> Meta<'_> {
        Meta {
            schema_version: SCHEMA_VERSION,
            correlation_id: self.correlation_id.as_deref(),
            trace_id: self.traceparent.as_deref().and_then(|text| text.split('-').nth(1)),
            issued_at: now,
            deadline: self
                .deadline
                .unwrap_or_else(|| now.checked_add(DEFAULT_DEADLINE).unwrap_or(Timestamp::MAX)),
            flow: self.flow,
            shard: key.shard.to_string(),
            expected_owner_epoch: self.expected_owner_epoch,
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    command: &'a str,
    userbot_id: AccountId,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
    command_id: &'a CommandId,
    #[serde(rename = "_meta")]
    meta: Meta<'a>,
}

#[derive(Serialize)]
struct Meta<'a> {
    schema_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(serialize_with = "millis")]
    issued_at: Timestamp,
    #[serde(serialize_with = "millis")]
    deadline: Timestamp,
    flow: Flow,
    shard: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_owner_epoch: Option<u64>,
}

fn millis<S: serde::Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&format_args!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use contracts::Command;
    use serde_json::json;

    use super::*;

    fn message(outgoing: &Outgoing) -> Result<(CommandId, Message), PublishError> {
        let now = Timestamp::from_millisecond(1_795_000_000_000).unwrap();
        outgoing.message(ShardCount::new(64).unwrap(), now)
    }

    fn send_code() -> Outgoing {
        Outgoing::new(AccountId::new(1).unwrap(), "send_code").field("code", "12345")
    }

    #[test]
    fn the_body_is_the_envelope_of_the_contract() {
        let outgoing = Outgoing {
            command_id: CommandId::new("c-1"),
            correlation_id: Some("k".to_owned()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            expected_owner_epoch: Some(42),
            ..send_code()
        };
        let (_, message) = message(&outgoing).unwrap();
        assert_eq!(message.key, "cmd_hi.s055.acc.1.send_code");
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        let expected = json!({
            "command": "send_code", "userbot_id": 1, "code": "12345", "command_id": "c-1",
            "_meta": {
                "schema_version": "v1", "correlation_id": "k", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                "issued_at": "2026-11-18T11:06:40.000Z", "deadline": "2026-11-18T12:06:40.000Z",
                "flow": "cmd_hi", "shard": "s055", "expected_owner_epoch": 42,
            },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn the_reader_finds_body_properties_and_key_in_agreement() {
        let outgoing = Outgoing { correlation_id: Some("k".to_owned()), ..send_code() };
        let (id, message) = message(&outgoing).unwrap();
        let key = message.key.parse().unwrap();
        let command = Command::read(&message.body, &message.properties, Some(&key)).unwrap();
        assert_eq!((&*command.name, command.id), ("send_code", Some(id)));
        assert_eq!(command.meta.correlation_id.as_deref(), Some("k"));
        assert_eq!(command.fields.len(), 1);
    }

    #[test]
    fn what_no_envelope_can_carry_is_refused() {
        let long = "x".repeat(256);
        let wrong = [
            Outgoing { command: String::new(), ..send_code() },
            Outgoing { command: long.clone(), ..send_code() },
            Outgoing { correlation_id: Some(long), ..send_code() },
            send_code().field("userbot_id", 2),
            send_code().field("_meta", 2),
        ];
        for outgoing in wrong {
            assert!(matches!(message(&outgoing), Err(PublishError::Invalid(_))), "{outgoing:?}");
        }
    }

    #[test]
    fn debug_output_never_shows_a_value() {
        assert!(!format!("{:?}", send_code()).contains("12345"));
    }
}
