use std::fmt::Display;

use bytes::Bytes;
use contracts::{Command, CommandId, Properties, RoutingKey, UnloggedError, may_hold_secret};
use jiff::Timestamp;
use log_port::{PendingCommand, PendingPosition};

use crate::failure::Failure;
use crate::ports::CommandOutcome;

/// A message as it was delivered.
pub(crate) struct RawMessage {
    pub(crate) body: Bytes,
    pub(crate) key: Option<RoutingKey>,
    pub(crate) properties: Properties,
    pub(crate) received_at: Timestamp,
    /// The body may hold a secret: it is not kept in a pending list.
    pub(crate) secret: bool,
}

impl RawMessage {
    pub(crate) fn new(
        body: Bytes,
        key: Option<RoutingKey>,
        properties: Properties,
        received_at: Timestamp,
    ) -> Self {
        let secret = may_hold_secret(&body);
        Self { body, key, properties, received_at, secret }
    }

    /// The outcome that nothing can be stored for the message's account.
    pub(crate) fn not_owned(&self, why: &impl Display) -> CommandOutcome {
        let Failure { error, info } = Failure::not_owned(why);
        let key = self.key.as_ref();
        let id = match Command::read(&self.body, &self.properties, key) {
            Ok(command) => command.id,
            Err(unreadable) => unreadable.id,
        };
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let name = key.map(|key| &*key.command).filter(|name| name.bytes().all(is_word));
        let event = UnloggedError {
            account: key.map(|key| key.account),
            command: name,
            id: id.as_ref(),
            correlation_id: self.properties.correlation_id.as_deref(),
            error: &error,
            info: &info,
            occurred_at: self.received_at,
        };
        CommandOutcome::NotOwned { event: Some(event.encode()), reason: error.into_owned() }
    }

    /// The command as it is kept in a pending list.
    pub(crate) fn to_pending(
        &self,
        position: PendingPosition,
        command: CommandId,
    ) -> PendingCommand {
        PendingCommand {
            position,
            command,
            body: self.body.clone(),
            routing_key: self.key.as_ref().map(ToString::to_string).unwrap_or_default(),
            properties: self.properties.clone(),
        }
    }
}
