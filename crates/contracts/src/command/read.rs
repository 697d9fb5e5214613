//! Reading a command.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::command::members::{Field, ObjectMembers, text};
use crate::command::meta::{CommandMeta, trace_id};
use crate::command::properties::Properties;
use crate::command::unreadable::UnreadableCommand;
use crate::ids::{AccountId, CommandId};
use crate::route::RoutingKey;

/// A readable command. It borrows from the body; nothing is parsed twice.
#[derive(Debug)]
pub struct Command<'a> {
    /// `command`, or its older name `action`.
    pub name: Cow<'a, str>,
    /// `userbot_id`.
    pub account: AccountId,
    /// `command_id`, else AMQP's `message_id`; without either, a duplicate cannot be detected.
    pub id: Option<CommandId>,
    /// `_meta`.
    pub meta: CommandMeta,
    /// The command's own fields, in the order of the body.
    pub fields: Vec<Field<'a>>,
}

impl<'a> Command<'a> {
    /// Reads a message: its body, its properties and its routing key (`None` if that has another
    /// form). A message whose parts disagree is refused.
    ///
    /// # Errors
    ///
    /// [`UnreadableCommand`], with as much of the address as could be read.
    pub fn read(
        body: &'a [u8],
        properties: &Properties,
        key: Option<&RoutingKey>,
    ) -> Result<Self, UnreadableCommand> {
        let mut partial = PartialCommand { properties, key, name: None, account: None, id: None };
        let members = match serde_json::from_slice::<ObjectMembers<'a>>(body) {
            Ok(members) => members.0,
            Err(error) => return Err(partial.refuse(syntax_error(&error), true)),
        };
        let mut meta = CommandMeta::default();
        let mut fields = Vec::new();
        for Field { name, value } in members {
            match &*name {
                "command" | "action" => partial.read_name(&name, value)?,
                "userbot_id" => partial.read_account(value)?,
                "command_id" => partial.read_id(value)?,
                "_meta" => meta = partial.read_meta(value)?,
                _ if fields.iter().any(|field: &Field<'_>| field.name == name) => {
                    return Err(partial.refuse(format!("duplicate field: {name}"), false));
                }
                _ => fields.push(Field { name, value }),
            }
        }
        partial.finish(meta, fields)
    }
}

/// What has been read so far, to address a refusal.
struct PartialCommand<'a, 'p> {
    properties: &'p Properties,
    key: Option<&'p RoutingKey>,
    name: Option<Cow<'a, str>>,
    account: Option<AccountId>,
    id: Option<CommandId>,
}

impl<'a> PartialCommand<'a, '_> {
    fn refuse(&self, error: impl Into<Cow<'static, str>>, garbled: bool) -> UnreadableCommand {
        let by_key = self.key.map(|key| key.command.clone());
        let message_id = self.properties.message_id.as_deref();
        UnreadableCommand {
            error: error.into(),
            name: self.name.as_deref().map(str::to_owned).or(by_key),
            account: self.key.map_or(self.account, |key| Some(key.account)),
            id: self.id.clone().or_else(|| message_id.and_then(CommandId::new)),
            garbled,
        }
    }

    fn invalid<T>(&self, error: impl Into<Cow<'static, str>>) -> Result<T, UnreadableCommand> {
        Err(self.refuse(error, false))
    }

    fn read_name(&mut self, member: &str, value: &'a RawValue) -> Result<(), UnreadableCommand> {
        let Some(name) = text(value).filter(|name| !name.is_empty()) else {
            return self.invalid(format!("{member} must be a string"));
        };
        if self.name.as_ref().is_some_and(|earlier| *earlier != name) {
            return self.invalid("command and action disagree");
        }
        self.name = Some(name);
        Ok(())
    }

    fn read_account(&mut self, value: &RawValue) -> Result<(), UnreadableCommand> {
        let Ok(id) = value.get().parse::<i64>() else {
            return self.invalid("userbot_id must be an integer");
        };
        match AccountId::new(id) {
            Some(account) => self.account = Some(account),
            None if id < 1 => return self.invalid("userbot_id must be at least 1"),
            None => return self.invalid("userbot_id must be between 1 and 9007199254740991"),
        }
        Ok(())
    }

    fn read_id(&mut self, value: &RawValue) -> Result<(), UnreadableCommand> {
        if value.get() == "null" {
            return Ok(());
        }
        let Some(id) = text(value) else {
            return self.invalid("command_id must be a string");
        };
        let Some(id) = CommandId::new(&id) else {
            return self.invalid("command_id must be between 1 and 128 bytes");
        };
        self.id = Some(id);
        Ok(())
    }

    fn read_meta(&mut self, value: &RawValue) -> Result<CommandMeta, UnreadableCommand> {
        CommandMeta::read(value).or_else(|error| self.invalid(error))
    }

    fn finish(
        mut self,
        mut meta: CommandMeta,
        fields: Vec<Field<'a>>,
    ) -> Result<Command<'a>, UnreadableCommand> {
        let Some(name) = self.name.clone() else { return self.invalid("command is required") };
        let Some(account) = self.account else { return self.invalid("userbot_id is required") };
        self.match_key(&name, account)?;
        self.match_message_id()?;
        self.match_correlation_id(&mut meta)?;
        if meta.trace_id.is_none() {
            meta.trace_id =
                self.properties.traceparent.as_deref().and_then(trace_id).map(Arc::from);
        }
        Ok(Command { name, account, id: self.id, meta, fields })
    }

    fn match_key(&self, name: &str, account: AccountId) -> Result<(), UnreadableCommand> {
        let Some(key) = self.key else { return Ok(()) };
        if key.account != account {
            return self.invalid("userbot_id does not match the routing key");
        }
        if key.command != name.replace('.', "_") {
            return self.invalid("command does not match the routing key");
        }
        Ok(())
    }

    fn match_message_id(&mut self) -> Result<(), UnreadableCommand> {
        let Some(message_id) = &self.properties.message_id else { return Ok(()) };
        match &self.id {
            Some(id) if id.as_str() != message_id => {
                return self.invalid("command_id does not match the AMQP message_id");
            }
            Some(_) => {}
            None => match CommandId::new(message_id) {
                Some(id) => self.id = Some(id),
                None => return self.invalid("AMQP message_id must be between 1 and 128 bytes"),
            },
        }
        Ok(())
    }

    fn match_correlation_id(&self, meta: &mut CommandMeta) -> Result<(), UnreadableCommand> {
        let Some(correlation_id) = &self.properties.correlation_id else { return Ok(()) };
        match &meta.correlation_id {
            Some(inner) if **inner != **correlation_id => {
                return self.invalid("_meta.correlation_id does not match the AMQP correlation_id");
            }
            _ => meta.correlation_id = Some(correlation_id.as_str().into()),
        }
        Ok(())
    }
}

/// The position of the syntax error, and nothing of the text around it: that may be a secret.
fn syntax_error(error: &serde_json::Error) -> Cow<'static, str> {
    if error.is_data() {
        return "command must be a JSON object".into();
    }
    format!("command is not valid JSON at line {} column {}", error.line(), error.column()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Command<'_>, UnreadableCommand> {
        Command::read(body.as_bytes(), &Properties::default(), None)
    }

    fn refused(body: &str) -> String {
        read(body).unwrap_err().error.into_owned()
    }

    #[test]
    fn the_shortest_request_is_a_command() {
        let command = read(r#"{"action": "get_active_sessions", "userbot_id": 1}"#).unwrap();
        assert_eq!((&*command.name, command.account.get()), ("get_active_sessions", 1));
        assert!(command.id.is_none() && command.fields.is_empty());
    }

    #[test]
    fn fields_keep_the_order_of_the_body_and_stay_unread() {
        let command = read(
            r#"{"z": [1, {"a": null}], "command": "x", "userbot_id": 5, "b": "\u0041", "command_id": "c",
                "_meta": {"correlation_id": "k", "deadline": "2026-11-21T20:23:00Z", "expected_owner_epoch": 42, "x": 1}}"#,
        )
        .unwrap();
        let fields: Vec<_> = command.fields.iter().map(|f| (&*f.name, f.value.get())).collect();
        assert_eq!(fields, [("z", r#"[1, {"a": null}]"#), ("b", r#""\u0041""#)]);
        assert_eq!(command.id.unwrap().as_str(), "c");
        assert_eq!(command.meta.correlation_id.as_deref(), Some("k"));
        assert_eq!(command.meta.deadline.unwrap().as_second(), 1_795_292_580);
        assert_eq!(command.meta.expected_owner_epoch, Some(42));
    }

    #[test]
    fn each_mistake_has_its_own_error_string() {
        let cases = [
            (r#"{"userbot_id": 1}"#, "command is required"),
            (r#"{"command": 7, "userbot_id": 1}"#, "command must be a string"),
            (r#"{"command": "a", "action": "b", "userbot_id": 1}"#, "command and action disagree"),
            (r#"{"command": "a"}"#, "userbot_id is required"),
            (r#"{"command": "a", "userbot_id": "1"}"#, "userbot_id must be an integer"),
            (r#"{"command": "a", "userbot_id": 1.0}"#, "userbot_id must be an integer"),
            (r#"{"command": "a", "userbot_id": 0}"#, "userbot_id must be at least 1"),
            (
                r#"{"command": "a", "userbot_id": 1, "command_id": 5}"#,
                "command_id must be a string",
            ),
            (r#"{"command": "a", "userbot_id": 1, "x": 1, "x": 2}"#, "duplicate field: x"),
            (r#"{"command": "a", "userbot_id": 1, "_meta": 1}"#, "_meta must be an object"),
            (
                r#"{"command": "a", "userbot_id": 1, "_meta": {"deadline": "soon"}}"#,
                "_meta.deadline must be an RFC 3339 time",
            ),
            ("[1]", "command must be a JSON object"),
            ("{\"command\": \"a\",\n nope}", "command is not valid JSON at line 2 column 2"),
        ];
        for (body, error) in cases {
            assert_eq!(refused(body), error, "{body}");
        }
    }

    #[test]
    fn the_routing_key_addresses_the_answer_to_garbage() {
        let key: RoutingKey = "cmd_hi.s055.acc.1.send_code".parse().unwrap();
        let properties = Properties { message_id: Some("m".to_owned()), ..Properties::default() };
        let refusal = Command::read(b"\xff{\"code\": 12345}", &properties, Some(&key)).unwrap_err();
        assert!(refusal.garbled);
        assert_eq!(refusal.name.as_deref(), Some("send_code"));
        assert_eq!(refusal.account, AccountId::new(1));
        assert_eq!(refusal.id, CommandId::new("m"));
        assert!(!refusal.error.contains("12345"));
    }

    #[test]
    fn body_properties_and_routing_key_must_agree() {
        let key: RoutingKey = "cmd_hi.s055.acc.1.x".parse().unwrap();
        let properties = Properties {
            message_id: Some("m".to_owned()),
            correlation_id: Some("k".to_owned()),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            ..Properties::default()
        };
        let read = |body: &'static str| Command::read(body.as_bytes(), &properties, Some(&key));
        let command = read(r#"{"command": "x", "userbot_id": 1}"#).unwrap();
        assert_eq!(command.id.unwrap().as_str(), "m");
        assert_eq!(command.meta.correlation_id.as_deref(), Some("k"));
        assert_eq!(command.meta.trace_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        let error = |body| read(body).unwrap_err().error;
        assert_eq!(
            error(r#"{"command": "x", "userbot_id": 2}"#),
            "userbot_id does not match the routing key"
        );
        assert_eq!(
            error(r#"{"command": "y", "userbot_id": 1}"#),
            "command does not match the routing key"
        );
        assert_eq!(
            error(r#"{"command": "x", "userbot_id": 1, "command_id": "other"}"#),
            "command_id does not match the AMQP message_id"
        );
        assert_eq!(
            error(r#"{"command": "x", "userbot_id": 1, "_meta": {"correlation_id": "other"}}"#),
            "_meta.correlation_id does not match the AMQP correlation_id"
        );
    }
}
