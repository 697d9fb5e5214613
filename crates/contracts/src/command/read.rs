//! Reading a command.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::command::members::{Field, ObjectMembers, shortened, text};
use crate::command::meta::{CommandMeta, trace_id};
use crate::command::properties::Properties;
use crate::command::unreadable::UnreadableCommand;
use crate::command::write::RESERVED_FIELDS;
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
        let (mut fields, mut names) = (Vec::new(), HashSet::new());
        for Field { name, value } in members {
            match &*name {
                name if RESERVED_FIELDS.contains(&name) && value.get() == "null" => {}
                "command" | "action" => partial.read_name(&name, value)?,
                "userbot_id" => partial.read_account(value)?,
                "command_id" => partial.read_id(value)?,
                "_meta" => meta = partial.read_meta(value)?,
                _ if names.insert(name.clone()) => fields.push(Field { name, value }),
                _ => return partial.invalid(format!("duplicate field: {}", shortened(&name))),
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
mod tests;
