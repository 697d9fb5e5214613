use bytes::Bytes;
use contracts::{CommandId, Properties, RoutingKey, may_hold_secret};
use jiff::Timestamp;
use log_port::{PendingCommand, PendingPosition};

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
