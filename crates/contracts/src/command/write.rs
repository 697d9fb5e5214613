//! Writing a command.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::command::meta::{DEFAULT_DEADLINE, SECRET_DEADLINE};
use crate::command::secrets::SECRET_FIELDS;
use crate::event::SCHEMA_VERSION;
use crate::ids::{AccountId, CommandId};
use crate::route::Flow;
use crate::shard::Shard;

/// The envelope's own members; a command cannot have a field of these names.
pub const RESERVED_FIELDS: [&str; 5] = ["command", "action", "userbot_id", "command_id", "_meta"];

/// A command to be written.
pub struct CommandEnvelope<'a> {
    /// `command`.
    pub name: &'a str,
    /// `userbot_id`.
    pub account: AccountId,
    /// The command's own fields; none of [`RESERVED_FIELDS`].
    pub fields: &'a Map<String, Value>,
    /// `command_id`.
    pub id: &'a CommandId,
    /// `_meta.correlation_id`.
    pub correlation_id: Option<&'a str>,
    /// `_meta.trace_id` is taken from it.
    pub traceparent: Option<&'a str>,
    /// `_meta.issued_at`.
    pub issued_at: Timestamp,
    /// `_meta.deadline`; [`DEFAULT_DEADLINE`] after `issued_at` unless set, and
    /// [`SECRET_DEADLINE`] with one of the [`SECRET_FIELDS`].
    pub deadline: Option<Timestamp>,
    /// `_meta.flow`.
    pub flow: Flow,
    /// `_meta.shard`.
    pub shard: Shard,
    /// `_meta.expected_owner_epoch`.
    pub expected_owner_epoch: Option<u64>,
}

impl CommandEnvelope<'_> {
    /// The message's body.
    ///
    /// # Errors
    ///
    /// A field cannot be written as JSON.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let secret = SECRET_FIELDS.iter().any(|name| self.fields.contains_key(*name));
        let wait = if secret { SECRET_DEADLINE } else { DEFAULT_DEADLINE };
        let default = || self.issued_at.checked_add(wait).unwrap_or(Timestamp::MAX);
        serde_json::to_vec(&WireCommand {
            command: self.name,
            userbot_id: self.account,
            fields: self.fields,
            command_id: self.id,
            meta: CommandWireMeta {
                schema_version: SCHEMA_VERSION,
                correlation_id: self.correlation_id,
                trace_id: self.traceparent.and_then(|text| text.split('-').nth(1)),
                issued_at: self.issued_at,
                deadline: self.deadline.unwrap_or_else(default),
                flow: self.flow,
                shard: self.shard.to_string(),
                expected_owner_epoch: self.expected_owner_epoch,
            },
        })
    }
}

#[derive(Serialize)]
struct WireCommand<'a> {
    command: &'a str,
    userbot_id: AccountId,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
    command_id: &'a CommandId,
    #[serde(rename = "_meta")]
    meta: CommandWireMeta<'a>,
}

#[derive(Serialize)]
struct CommandWireMeta<'a> {
    schema_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(serialize_with = "to_the_millisecond")]
    issued_at: Timestamp,
    #[serde(serialize_with = "to_the_millisecond")]
    deadline: Timestamp,
    flow: Flow,
    shard: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_owner_epoch: Option<u64>,
}

fn to_the_millisecond<S: Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&format_args!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Properties};

    fn envelope<'a>(id: &'a CommandId, fields: &'a Map<String, Value>) -> CommandEnvelope<'a> {
        CommandEnvelope {
            name: "send_code",
            account: AccountId::new(1).unwrap(),
            fields,
            id,
            correlation_id: Some("k"),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            issued_at: Timestamp::from_millisecond(1_795_000_000_000).unwrap(),
            deadline: None,
            flow: Flow::Hi,
            shard: Shard(55),
            expected_owner_epoch: Some(42),
        }
    }

    #[test]
    fn every_byte_is_as_the_contract_says() {
        let (id, fields) = (CommandId::new("c-1").unwrap(), Map::new());
        let mut envelope = envelope(&id, &fields);
        let encode =
            |envelope: &CommandEnvelope<'_>| String::from_utf8(envelope.encode().unwrap()).unwrap();
        assert_eq!(
            encode(&envelope),
            r#"{"command":"send_code","userbot_id":1,"command_id":"c-1","_meta":{"schema_version":"v1","correlation_id":"k","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","issued_at":"2026-11-18T11:06:40.000Z","deadline":"2026-11-18T12:06:40.000Z","flow":"cmd_hi","shard":"s055","expected_owner_epoch":42}}"#
        );
        let fields = Map::from_iter([("code".to_owned(), Value::from("12345"))]);
        envelope.fields = &fields;
        (envelope.correlation_id, envelope.traceparent) = (None, None);
        envelope.deadline = Some(envelope.issued_at);
        envelope.expected_owner_epoch = None;
        assert_eq!(
            encode(&envelope),
            r#"{"command":"send_code","userbot_id":1,"code":"12345","command_id":"c-1","_meta":{"schema_version":"v1","issued_at":"2026-11-18T11:06:40.000Z","deadline":"2026-11-18T11:06:40.000Z","flow":"cmd_hi","shard":"s055"}}"#
        );
    }

    #[test]
    fn the_reader_understands_the_writer() {
        let id = CommandId::new("c-1").unwrap();
        let fields = Map::from_iter([("code".to_owned(), Value::from("12345"))]);
        let body = envelope(&id, &fields).encode().unwrap();
        let command = Command::read(&body, &Properties::default(), None).unwrap();
        assert_eq!((&*command.name, command.id), ("send_code", Some(id)));
        assert_eq!(command.meta.correlation_id.as_deref(), Some("k"));
        assert_eq!(command.meta.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(command.meta.deadline.unwrap().to_string(), "2026-11-18T11:08:40Z");
        assert_eq!(command.meta.expected_owner_epoch, Some(42));
        let fields: Vec<_> = command.fields.iter().map(|f| (&*f.name, f.value.get())).collect();
        assert_eq!(fields, [("code", "\"12345\"")]);
    }

    #[test]
    fn no_member_of_the_envelope_can_be_a_field() {
        for name in RESERVED_FIELDS {
            let body = format!(r#"{{"command": "x", "userbot_id": 1, "{name}": null}}"#);
            let read = Command::read(body.as_bytes(), &Properties::default(), None);
            assert!(read.map_or(true, |command| command.fields.is_empty()), "{name}");
        }
    }
}
