use bytes::Bytes;
use contracts::{CommandId, EventId, Flow, Properties};

/// Position of a command in a pending list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PendingPosition {
    /// Which of the account's two lists.
    pub flow: Flow,
    /// Id of the stream entry: the owner's epoch and a growing number.
    pub id: EventId,
}

/// A command in a pending list: the message as it was delivered, and the command's id.
#[derive(Clone, Debug)]
pub struct PendingCommand {
    /// Its position.
    pub position: PendingPosition,
    /// The command's id: its own, or the one that its first owner generated.
    pub command: CommandId,
    /// The body, as it was published.
    pub body: Bytes,
    /// The routing key it was published with.
    pub routing_key: String,
    /// AMQP's own properties.
    pub properties: Properties,
}
