use contracts::{Command, Flow, RoutingKey, ShardCount, UnreadableCommand};

use crate::delivery::{Delivery, DeliveryHandler};
use crate::settlement::Settlement;

/// Handles messages that did not reach a shard. A message goes to its account's shard once more if
/// it names an account, and becomes a dead letter if not.
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

    /// The key of the account's shard, whose owner answers the message whatever it is.
    fn key(&self, delivery: &Delivery) -> Option<RoutingKey> {
        if let Some(key) = &delivery.key {
            return Some(RoutingKey::new(key.flow, self.count, key.account, &key.command));
        }
        let (name, account) = match Command::read(&delivery.body, &delivery.properties, None) {
            Ok(command) => (command.name.into_owned(), command.account),
            Err(UnreadableCommand { name, account, .. }) => {
                (name.unwrap_or_else(|| "unreadable".to_owned()), account?)
            }
        };
        Some(RoutingKey::new(Flow::default(), self.count, account, &name))
    }
}

impl DeliveryHandler for MisroutedHandler {
    fn handle(&self, delivery: Delivery) {
        let key = self.key(&delivery);
        let Delivery { ticket, expired, .. } = delivery;
        let dead_letter =
            |reason: &str| Settlement::DeadLetter { reason: reason.to_owned(), event: None };
        match (key, self.cause) {
            (None, _) => {
                ticket.settle(dead_letter("neither its routing key nor its body names an account"));
            }
            (Some(_), MisroutedCause::Expired) if expired => {
                ticket.settle(dead_letter("RabbitMQ took it out of its queue twice"));
            }
            (Some(key), MisroutedCause::Expired) => ticket.settle_expired(key),
            (Some(key), MisroutedCause::Unrouted) => ticket.forward(key),
        }
    }
}
