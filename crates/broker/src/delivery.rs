//! A message that was handed over, and how it is settled.

use std::fmt;

use bytes::Bytes;
use contracts::{Properties, RoutingKey};
use tokio::sync::mpsc;

use crate::message::Message;

/// What takes deliveries over; the binary implements it.
pub trait Execute: Send + Sync + 'static {
    /// Takes one delivery over. It is called in the order of the queue and must not block: whatever
    /// takes time happens elsewhere and ends in [`Ticket::settle`].
    fn execute(&self, delivery: Delivery);
}

/// One message of one shard's queue.
pub struct Delivery {
    /// The body, as it was published.
    pub body: Bytes,
    /// The routing key it was published with.
    pub routing_key: String,
    /// The same, read; `None` where it has another form.
    pub key: Option<RoutingKey>,
    /// AMQP's own properties.
    pub properties: Properties,
    /// The message was handed over before, here or elsewhere, and was not settled then.
    pub redelivered: bool,
    /// RabbitMQ took the message out of its queue (AMQP's `expiration`): it is to be answered as
    /// expired and not to be run.
    pub expired: bool,
    /// The message was forwarded to this shard; forwarding it again makes it a dead letter.
    pub forwarded: bool,
    /// Settles it.
    pub ticket: Ticket,
}

impl Delivery {
    /// The delivery of `message`, with a ticket that reports to `done` under `tag`.
    pub(crate) fn new(
        message: Message,
        tag: u64,
        redelivered: bool,
        done: &mpsc::UnboundedSender<Settled>,
    ) -> Self {
        Self {
            body: message.body.clone(),
            routing_key: message.key.clone(),
            key: message.key.parse().ok(),
            properties: message.properties.clone(),
            redelivered,
            expired: message.expired,
            forwarded: message.forwarded,
            ticket: Ticket { open: Some(Box::new(Open { tag, message, done: done.clone() })) },
        }
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

/// How a delivery ends. In every case RabbitMQ forgets the message afterwards.
pub enum Settlement {
    /// The answer is in the event log. It goes to `reply_to` as well, if the message has one.
    Answered {
        /// The event, as it is in the log.
        event: Bytes,
    },
    /// The command needs nothing more of the bus: it is kept elsewhere, in its account's pending
    /// list, and its answer goes out later by [`crate::Bus::reply`]; or a copy of it gets the reply.
    Kept,
    /// Nobody can carry the message out: it is kept in the dead-letter queue until the operator
    /// looks.
    DeadLetter {
        /// Why, in words; header `x-tdfleet-reason`. At most 1024 bytes are kept.
        reason: String,
        /// The answer for `reply_to`, if there is one.
        event: Option<Bytes>,
    },
    /// The message came to the wrong shard: it is published once more under its right key. One that
    /// was forwarded before becomes a dead letter instead.
    Forward {
        /// The right key.
        key: RoutingKey,
    },
}

/// Bodies may hold secrets: only the kind shows.
impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered { .. } => "Answered",
            Self::Kept => "Kept",
            Self::DeadLetter { .. } => "DeadLetter",
            Self::Forward { .. } => "Forward",
        })
    }
}

/// The right and the duty to settle one delivery, once.
///
/// Dropped unsettled, it leaves the message with RabbitMQ, which delivers it again, marked, when
/// the shard is let go or its channel ends.
#[must_use = "a ticket that is dropped leaves its message to redelivery"]
pub struct Ticket {
    open: Option<Box<Open>>,
}

struct Open {
    tag: u64,
    message: Message,
    done: mpsc::UnboundedSender<Settled>,
}

/// What a channel's settling task is told of one delivery.
pub(crate) struct Settled {
    pub(crate) tag: u64,
    pub(crate) message: Message,
    pub(crate) how: How,
}

pub(crate) enum How {
    Settled(Settlement),
    /// Taken out by RabbitMQ: to its shard, marked.
    Expired(RoutingKey),
    /// The ticket was dropped.
    Abandoned,
    /// This worker may not run it: the channel ends.
    Refused,
}

impl Ticket {
    /// Settles the delivery. Never blocks; publishing and acknowledging happen behind it.
    ///
    /// Where the delivery's channel has ended in the meantime this does nothing: RabbitMQ delivers
    /// the message again by itself.
    pub fn settle(mut self, settlement: Settlement) {
        self.finish(How::Settled(settlement));
    }

    /// Refuses the delivery, since this worker has no valid lease for its shard. Never blocks.
    ///
    /// The delivery's channel is closed at once: everything of it that is unsettled comes again, to
    /// whoever is the shard's owner. On RabbitMQ the bus subscribes again by itself after a pause, for
    /// the case that the lease is still to come; a worker that lost it calls
    /// [`crate::Bus::unsubscribe`]. In process the shard waits for the next subscription.
    pub fn refuse(mut self) {
        self.finish(How::Refused);
    }

    pub(crate) fn settle_expired(mut self, key: RoutingKey) {
        self.finish(How::Expired(key));
    }

    fn finish(&mut self, how: How) {
        if let Some(open) = self.open.take() {
            let Open { tag, message, done } = *open;
            if done.send(Settled { tag, message, how }).is_err() {
                tracing::debug!("a delivery of a channel that has ended was settled");
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.finish(How::Abandoned);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.open.as_ref().map(|open| open.tag)).finish()
    }
}
