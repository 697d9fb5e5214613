use contracts::{RoutingKey, ShardCount};

use crate::delivery::{MessageHandler, ReceivedMessage};
use crate::intake::NO_COMMAND_KEY;

/// Handles messages that did not reach a shard. A message goes to the shard of the account in its
/// routing key once more, and becomes a dead letter if the key names none: RabbitMQ has authorised the
/// key, and nothing else of the message.
pub(crate) struct MisroutedHandler {
    count: ShardCount,
    cause: MisroutedCause,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MisroutedCause {
    /// RabbitMQ could not route the messages.
    Unrouted,
    /// RabbitMQ removed the messages from their queues.
    Expired,
}

impl MisroutedHandler {
    pub(crate) fn new(count: ShardCount, cause: MisroutedCause) -> Self {
        Self { count, cause }
    }
}

impl MessageHandler for MisroutedHandler {
    fn receive(&self, received: ReceivedMessage) {
        let ReceivedMessage { message, ticket, .. } = received;
        let Ok(key) = message.key.parse::<RoutingKey>() else {
            return ticket.dead_letter(NO_COMMAND_KEY);
        };
        // The account's shard, whose owner answers the message whatever it is.
        let key = RoutingKey::new(key.flow, self.count, key.account, &key.command);
        match (message.unreadable, self.cause) {
            (Some(reason), _) => ticket.dead_letter(reason),
            (None, MisroutedCause::Expired) if message.expired => {
                ticket.dead_letter("RabbitMQ took it out of its queue twice");
            }
            (None, MisroutedCause::Expired) => ticket.settle_expired(key),
            (None, MisroutedCause::Unrouted) => ticket.forward(key),
        }
    }
}
