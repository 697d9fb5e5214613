use contracts::{Command, Flow, RoutingKey, ShardCount, Unreadable};

use crate::delivery::{Delivery, Execute, Settlement};

/// Deals with what did not reach its shard: it goes there once more if an account can be read of
/// it, and becomes a dead letter if not.
pub(crate) struct Sorter {
    count: ShardCount,
    /// RabbitMQ took the messages out of their queues; else it could not route them.
    expired: bool,
}

impl Sorter {
    pub(crate) fn new(count: ShardCount, expired: bool) -> Self {
        Self { count, expired }
    }

    /// The key that leads to the account's shard, where the owner answers whatever it is.
    fn key(&self, delivery: &Delivery) -> Option<RoutingKey> {
        if let Some(key) = &delivery.key {
            return Some(RoutingKey::new(key.flow, self.count, key.account, &key.command));
        }
        let (name, account) = match Command::read(&delivery.body, &delivery.properties, None) {
            Ok(command) => (command.name.into_owned(), command.account),
            Err(Unreadable { name, account, .. }) => {
                (name.unwrap_or_else(|| "unreadable".to_owned()), account?)
            }
        };
        Some(RoutingKey::new(Flow::default(), self.count, account, &name))
    }
}

impl Execute for Sorter {
    fn execute(&self, delivery: Delivery) {
        let key = self.key(&delivery);
        let Delivery { ticket, expired, .. } = delivery;
        let lost = |reason: &str| Settlement::DeadLetter { reason: reason.to_owned(), event: None };
        match key {
            None => ticket.settle(lost("neither its routing key nor its body names an account")),
            Some(_) if self.expired && expired => {
                ticket.settle(lost("RabbitMQ took it out of its queue twice"));
            }
            Some(key) if self.expired => ticket.settle_expired(key),
            Some(key) => ticket.settle(Settlement::Forward { key }),
        }
    }
}
