//! A message that was delivered, and the ticket that settles it.

use std::fmt;

use bytes::Bytes;
use contracts::{Properties, RoutingKey, UnreadableCommand};
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
    /// The routing key it was published with. Its account is what RabbitMQ has authorised, and its
    /// shard is the account's.
    pub key: RoutingKey,
    /// The AMQP properties.
    pub properties: Properties,
    /// The message was delivered before, here or elsewhere, and was not settled then.
    pub redelivered: bool,
    /// RabbitMQ removed the message from its queue (AMQP's `expiration`): answer it as expired
    /// and do not run it.
    pub expired: bool,
    /// The bus has forwarded the message to this shard; it is never forwarded twice.
    pub forwarded: bool,
    /// Why the message is refused: then its body must not be parsed.
    pub refusal: Option<UnreadableCommand>,
    /// Settles it.
    pub ticket: DeliveryTicket,
}

impl Delivery {
    pub(crate) fn new(
        received: ReceivedMessage,
        key: RoutingKey,
        refusal: Option<UnreadableCommand>,
    ) -> Self {
        let ReceivedMessage { message, redelivered, ticket } = received;
        let Message { body, properties, expired, forwarded, .. } = message;
        Self { body, key, properties, redelivered, expired, forwarded, refusal, ticket }
    }
}

/// The body may hold secrets: only its size shows.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("key", &self.key)
            .field("bytes", &self.body.len())
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

/// A message as it was taken from its queue, before it is known for whom it is.
pub(crate) struct ReceivedMessage {
    pub(crate) message: Message,
    pub(crate) redelivered: bool,
    pub(crate) ticket: DeliveryTicket,
}

/// Processes the messages of one queue.
pub(crate) trait MessageHandler: Send + Sync + 'static {
    /// Accepts one message; like [`DeliveryHandler::handle`], in order and without blocking.
    fn receive(&self, received: ReceivedMessage);
}

impl ReceivedMessage {
    /// `message`, with a ticket that reports to `requests` under `tag`.
    pub(crate) fn new(
        message: Message,
        tag: u64,
        redelivered: bool,
        requests: &mpsc::UnboundedSender<SettleRequest>,
    ) -> Self {
        let requests = requests.clone();
        let unsettled = UnsettledDelivery { tag, message: message.clone(), requests };
        let ticket = DeliveryTicket { unsettled: Some(Box::new(unsettled)) };
        Self { message, redelivered, ticket }
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

    /// Settles it as a dead letter without an answer in a log.
    pub(crate) fn dead_letter(self, reason: &str) {
        self.settle(Settlement::DeadLetter { reason: reason.to_owned(), event: None });
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
