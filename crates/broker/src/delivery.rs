//! A message that was delivered, and the ticket that settles it.

use std::fmt;

use bytes::Bytes;
use contracts::{Properties, RoutingKey};
use tokio::sync::mpsc;

use crate::message::Message;
use crate::settlement::{Disposition, SettleRequest, Settlement};

/// Processes deliveries; the binary implements it (`DeliveryAdapter` in tdfleet's
/// `daemon/adapters.rs`).
pub trait DeliveryHandler: Send + Sync + 'static {
    /// Accepts one delivery. It is called in the order of the queue and must not block: whatever
    /// takes time happens elsewhere and ends in [`DeliveryTicket::settle`].
    fn handle(&self, delivery: Delivery);
}

/// One message of one shard's queue.
pub struct Delivery {
    /// The body, as it was published.
    pub body: Bytes,
    /// The routing key it was published with.
    pub routing_key: String,
    /// The same, parsed; `None` if it has another form. Its shard is the account's.
    pub key: Option<RoutingKey>,
    /// The AMQP properties.
    pub properties: Properties,
    /// The message was delivered before, here or elsewhere, and was not settled then.
    pub redelivered: bool,
    /// RabbitMQ removed the message from its queue (AMQP's `expiration`): answer it as expired
    /// and do not run it.
    pub expired: bool,
    /// The bus has forwarded the message to this shard; it is never forwarded twice.
    pub forwarded: bool,
    /// Settles it.
    pub ticket: DeliveryTicket,
}

impl Delivery {
    /// The delivery of `message`, with a ticket that reports to `requests` under `tag`.
    pub(crate) fn new(
        message: Message,
        tag: u64,
        redelivered: bool,
        requests: &mpsc::UnboundedSender<SettleRequest>,
    ) -> Self {
        let (body, routing_key) = (message.body.clone(), message.key.clone());
        let (key, properties) = (message.key.parse().ok(), message.properties.clone());
        let (expired, forwarded) = (message.expired, message.forwarded);
        let unsettled = UnsettledDelivery { tag, message, requests: requests.clone() };
        let ticket = DeliveryTicket { unsettled: Some(Box::new(unsettled)) };
        Self { body, routing_key, key, properties, redelivered, expired, forwarded, ticket }
    }
}

/// The body may hold secrets: only its size shows.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("routing_key", &self.routing_key)
            .field("bytes", &self.body.len())
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

/// The right and the duty to settle one delivery, once.
///
/// Dropped unsettled, it leaves the message with RabbitMQ, which redelivers it when the shard is
/// unsubscribed or the channel ends.
#[must_use = "the message of a dropped ticket is redelivered"]
pub struct DeliveryTicket {
    unsettled: Option<Box<UnsettledDelivery>>,
}

struct UnsettledDelivery {
    tag: u64,
    message: Message,
    requests: mpsc::UnboundedSender<SettleRequest>,
}

impl DeliveryTicket {
    /// Settles the delivery. Never blocks; publishing and acknowledging happen in the background, on
    /// RabbitMQ in `amqp/settle.rs`.
    ///
    /// Does nothing if the delivery's channel has ended in the meantime: RabbitMQ redelivers the
    /// message by itself.
    pub fn settle(mut self, settlement: Settlement) {
        self.finish(Disposition::Settled(settlement));
    }

    /// Refuses the delivery because this worker has no valid lease for its shard. Never blocks.
    ///
    /// The delivery's channel is closed at once: everything unsettled on it is redelivered to the
    /// shard's owner. On RabbitMQ the bus subscribes again by itself after a pause, in case the lease
    /// is still to come; a worker that has lost it calls [`crate::Bus::unsubscribe`]. In process
    /// the shard waits for the next subscription.
    pub fn refuse(mut self) {
        self.finish(Disposition::NoLease);
    }

    pub(crate) fn forward(mut self, key: RoutingKey) {
        self.finish(Disposition::Forward(key));
    }

    pub(crate) fn settle_expired(mut self, key: RoutingKey) {
        self.finish(Disposition::Expired(key));
    }

    fn finish(&mut self, disposition: Disposition) {
        if let Some(unsettled) = self.unsettled.take() {
            let UnsettledDelivery { tag, message, requests } = *unsettled;
            if requests.send(SettleRequest { tag, message, disposition }).is_err() {
                tracing::debug!("delivery settled after its channel had ended");
            }
        }
    }
}

impl Drop for DeliveryTicket {
    fn drop(&mut self) {
        self.finish(Disposition::Abandoned);
    }
}

impl fmt::Debug for DeliveryTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = self.unsettled.as_ref().map(|unsettled| unsettled.tag);
        f.debug_tuple("DeliveryTicket").field(&tag).finish()
    }
}
