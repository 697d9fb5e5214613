//! Commands: reading what a publisher put on the queue.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, ErrorInfo, ErrorSource};
use crate::ids::{AccountId, CommandId};
use crate::route::RoutingKey;

/// A readable command. It borrows from the body; nothing is parsed twice.
#[derive(Debug)]
pub struct Command<'a> {
    /// `command`, or the seeds' `action`.
    pub name: Cow<'a, str>,
    /// `userbot_id`.
    pub account: AccountId,
    /// `command_id`, else AMQP's `message_id`; without either, nobody can know a copy by it.
    pub id: Option<CommandId>,
    /// `_meta`.
    pub meta: CommandMeta,
    /// The command's own fields, in the order of the body.
    pub fields: Vec<Field<'a>>,
}

/// One field of a command's own: its name and its JSON.
#[derive(Clone)]
pub struct Field<'a> {
    /// The key.
    pub name: Cow<'a, str>,
    /// The value as it stands in the body.
    pub value: &'a RawValue,
}

/// Values may be secrets (a login code): only the name shows.
impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// `_meta` of a command, as far as it was given; unknown members are left alone.
#[derive(Clone, Debug, Default)]
pub struct CommandMeta {
    /// Given back in the answer. AMQP's `correlation_id`.
    pub correlation_id: Option<Arc<str>>,
    /// Given back in the answer. The trace id of the header `traceparent`.
    pub trace_id: Option<Arc<str>>,
    /// Past it the command is not run any more.
    pub deadline: Option<Timestamp>,
    /// The command is refused unless this is the owner's epoch.
    pub expected_owner_epoch: Option<u64>,
}

/// What AMQP's own properties say of a message, where they say it.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    /// `message_id`: the command's id.
    pub message_id: Option<String>,
    /// `correlation_id`.
    pub correlation_id: Option<String>,
    /// `reply_to`: queue that gets the answer as well.
    pub reply_to: Option<String>,
    /// Header `traceparent` (W3C Trace Context).
    pub traceparent: Option<String>,
}

/// Why a message is no command, with all that could still be read of it, to address the answer.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The error string of the answer.
    pub error: Cow<'static, str>,
    /// Name, if it could be read.
    pub name: Option<String>,
    /// Account, if it could be read.
    pub account: Option<AccountId>,
    /// Command id, if it could be read.
    pub id: Option<CommandId>,
    /// Whether the body is no JSON object at all: it is kept as a dead letter for the operator.
    pub garbled: bool,
}

impl Unreadable {
    /// The answer's `error_info`.
    pub fn info() -> ErrorInfo {
        ErrorInfo::new(ErrorCode::InvalidRequest, ErrorSource::Validation, false)
    }
}

impl<'a> Command<'a> {
    /// Reads a message: its body, its properties, and the routing key it came by (`None` where that
    /// has another form). Where two of them disagree, the message is refused.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], addressed as far as it can be.
    pub fn read(
        body: &'a [u8],
        properties: &Properties,
        key: Option<&RoutingKey>,
    ) -> Result<Self, Unreadable> {
        let mut known = Known { properties, key, name: None, account: None, id: None };
        let members = match serde_json::from_slice::<Members<'a>>(body) {
            Ok(members) => members.0,
            Err(error) => return Err(known.refuse(not_json(&error), true)),
        };
        let mut meta = CommandMeta::default();
        let mut fields = Vec::new();
        for Field { name, value } in members {
            match &*name {
                "command" | "action" => known.read_name(&name, value)?,
                "userbot_id" => known.read_account(value)?,
                "command_id" => known.read_id(value)?,
                "_meta" => meta = known.read_meta(value)?,
                _ if fields.iter().any(|field: &Field<'_>| field.name == name) => {
                    return Err(known.refuse(format!("duplicate field: {name}"), false));
                }
                _ => fields.push(Field { name, value }),
            }
        }
        known.join(meta, fields)
    }
}

/// What has been read so far; addresses the refusal.
struct Known<'a, 'p> {
    properties: &'p Properties,
    key: Option<&'p RoutingKey>,
    name: Option<Cow<'a, str>>,
    account: Option<AccountId>,
    id: Option<CommandId>,
}

impl<'a> Known<'a, '_> {
    fn refuse(&self, error: impl Into<Cow<'static, str>>, garbled: bool) -> Unreadable {
        let by_key = self.key.map(|key| key.command.clone());
        let message_id = self.properties.message_id.as_deref();
        Unreadable {
            error: error.into(),
            name: self.name.as_deref().map(str::to_owned).or(by_key),
            account: self.key.map_or(self.account, |key| Some(key.account)),
            id: self.id.clone().or_else(|| message_id.and_then(CommandId::new)),
            garbled,
        }
    }

    fn invalid<T>(&self, error: impl Into<Cow<'static, str>>) -> Result<T, Unreadable> {
        Err(self.refuse(error, false))
    }

    fn read_name(&mut self, member: &str, value: &'a RawValue) -> Result<(), Unreadable> {
        let Some(name) = text(value).filter(|name| !name.is_empty()) else {
            return self.invalid(format!("{member} must be a string"));
        };
        if self.name.as_ref().is_some_and(|earlier| *earlier != name) {
            return self.invalid("command and action disagree");
        }
        self.name = Some(name);
        Ok(())
    }

    fn read_account(&mut self, value: &RawValue) -> Result<(), Unreadable> {
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

    fn read_id(&mut self, value: &RawValue) -> Result<(), Unreadable> {
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

    fn read_meta(&mut self, value: &'a RawValue) -> Result<CommandMeta, Unreadable> {
        let mut meta = CommandMeta::default();
        let Ok(Members(members)) = serde_json::from_str(value.get()) else {
            return self.invalid("_meta must be an object");
        };
        for Field { name, value } in members {
            if value.get() == "null" {
                continue;
            }
            let wrong =
                |what: &str| Err(self.refuse(format!("_meta.{name} must be {what}"), false));
            match &*name {
                "correlation_id" | "trace_id" | "deadline" => {
                    let Some(text) = text(value) else { return wrong("a string") };
                    match &*name {
                        "correlation_id" => meta.correlation_id = Some(text.into()),
                        "trace_id" => meta.trace_id = Some(text.into()),
                        _ => match text.parse() {
                            Ok(deadline) => meta.deadline = Some(deadline),
                            Err(_) => return wrong("an RFC 3339 time"),
                        },
                    }
                }
                "expected_owner_epoch" => match value.get().parse() {
                    Ok(epoch) => meta.expected_owner_epoch = Some(epoch),
                    Err(_) => return wrong("an integer"),
                },
                _ => {}
            }
        }
        Ok(meta)
    }

    fn join(
        mut self,
        mut meta: CommandMeta,
        fields: Vec<Field<'a>>,
    ) -> Result<Command<'a>, Unreadable> {
        let Some(name) = self.name.clone() else { return self.invalid("command is required") };
        let Some(account) = self.account else { return self.invalid("userbot_id is required") };
        if self.key.is_some_and(|key| key.account != account) {
            return self.invalid("userbot_id does not match the routing key");
        }
        if self.key.is_some_and(|key| key.command != name.replace('.', "_")) {
            return self.invalid("command does not match the routing key");
        }
        if let Some(message_id) = &self.properties.message_id {
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
        }
        if let Some(correlation_id) = &self.properties.correlation_id {
            match &meta.correlation_id {
                Some(inner) if **inner != **correlation_id => {
                    return self
                        .invalid("_meta.correlation_id does not match the AMQP correlation_id");
                }
                _ => meta.correlation_id = Some(correlation_id.as_str().into()),
            }
        }
        if meta.trace_id.is_none() {
            meta.trace_id =
                self.properties.traceparent.as_deref().and_then(trace_id).map(Arc::from);
        }
        Ok(Command { name, account, id: self.id, meta, fields })
    }
}

/// The trace id inside a W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(value.get()).ok().map(|Text(text)| text)
}

/// Says where the JSON ends to be JSON, and nothing of what stands there: it may be a secret.
fn not_json(error: &serde_json::Error) -> Cow<'static, str> {
    if error.is_data() {
        return "command must be a JSON object".into();
    }
    format!("command is not valid JSON at line {} column {}", error.line(), error.column()).into()
}

/// An object's members in their order, values unread.
struct Members<'a>(Vec<Field<'a>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(serde::Deserialize)]
                struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

                let mut members = Vec::with_capacity(8);
                while let Some((Key(name), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push(Field { name, value });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Command<'_>, Unreadable> {
        Command::read(body.as_bytes(), &Properties::default(), None)
    }

    fn refused(body: &str) -> String {
        read(body).unwrap_err().error.into_owned()
    }

    #[test]
    fn the_seeds_exact_request_is_a_command() {
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
    fn each_fault_has_its_own_words() {
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
    fn garbage_is_answered_by_its_routing_key() {
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
