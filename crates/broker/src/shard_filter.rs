use std::sync::Arc;

use contracts::{RoutingKey, ShardCount};

use crate::delivery::{Delivery, DeliveryHandler, MessageHandler, ReceivedMessage};
use crate::intake::{IntakeRules, NO_COMMAND_KEY};

/// Lets through messages whose account belongs to the shard of their routing key, and forwards the
/// others to their own shard. A caller that computes shards wrongly is corrected here, so that no
/// account's command reaches a worker that does not own it.
pub(crate) struct ShardFilter {
    count: ShardCount,
    rules: IntakeRules,
    handler: Arc<dyn DeliveryHandler>,
}

impl ShardFilter {
    pub(crate) fn new(
        count: ShardCount,
        rules: IntakeRules,
        handler: Arc<dyn DeliveryHandler>,
    ) -> Self {
        Self { count, rules, handler }
    }
}

impl MessageHandler for ShardFilter {
    fn receive(&self, received: ReceivedMessage) {
        let Ok(key) = received.message.key.parse::<RoutingKey>() else {
            return received.ticket.dead_letter(NO_COMMAND_KEY);
        };
        if key.shard == self.count.shard_of(key.account) {
            let refusal = self.rules.refusal(&received.message, &key);
            return self.handler.handle(Delivery::new(received, key, refusal));
        }
        match received.message.unreadable {
            Some(reason) => received.ticket.dead_letter(reason),
            None => {
                let key = RoutingKey::new(key.flow, self.count, key.account, &key.command);
                received.ticket.forward(key);
            }
        }
    }
}
