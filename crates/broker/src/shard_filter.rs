use std::sync::Arc;

use contracts::{RoutingKey, ShardCount};

use crate::delivery::{Delivery, DeliveryHandler};

/// Lets through deliveries whose account belongs to the shard of their routing key, and forwards
/// the others to their own shard. A caller that computes shards wrongly is corrected here, so that
/// no account's command reaches a worker that does not own it.
pub(crate) struct ShardFilter {
    count: ShardCount,
    handler: Arc<dyn DeliveryHandler>,
}

impl ShardFilter {
    pub(crate) fn new(count: ShardCount, handler: Arc<dyn DeliveryHandler>) -> Self {
        Self { count, handler }
    }
}

impl DeliveryHandler for ShardFilter {
    fn handle(&self, delivery: Delivery) {
        match &delivery.key {
            Some(key) if key.shard != self.count.shard_of(key.account) => {
                let key = RoutingKey::new(key.flow, self.count, key.account, &key.command);
                delivery.ticket.forward(key);
            }
            _ => self.handler.handle(delivery),
        }
    }
}
