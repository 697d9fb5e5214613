//! How a delivery ends.

use std::fmt;

use bytes::Bytes;
use contracts::{Properties, RoutingKey};

use crate::message::Message;

/// How a delivery ends. In every case the message is acknowledged afterwards.
pub enum Settlement {
    /// The answer is in the event log. It goes to `reply_to` as well, if the message has one.
    Answered {
        /// The event, as it is in the log.
        event: Bytes,
    },
    /// The command needs nothing more from the bus: it is in its account's pending list, and its
    /// answer follows with [`crate::Bus::reply`]; or a duplicate of it gets the reply.
    Kept,
    /// Nobody can process the message: it stays in the dead-letter queue for the operator.
    DeadLetter {
        /// Why, in words; header `x-tdfleet-reason`, cut to 1024 bytes.
        reason: String,
        /// The answer for `reply_to`; an error event with the reason if there is none.
        event: Option<Bytes>,
    },
}

/// Bodies may hold secrets: only the kind shows.
impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered { .. } => "Answered",
            Self::Kept => "Kept",
            Self::DeadLetter { .. } => "DeadLetter",
        })
    }
}

/// A ticket's message to the task that settles: one delivery and its end.
pub(crate) struct SettleRequest {
    /// The delivery's tag within its channel.
    pub(crate) tag: u64,
    pub(crate) message: Message,
    pub(crate) disposition: Disposition,
}

pub(crate) enum Disposition {
    Settled(Settlement),
    /// On the wrong shard: published once more under its right key. A message that was forwarded
    /// before becomes a dead letter instead.
    Forward(RoutingKey),
    /// Removed from its queue by RabbitMQ: published once more to its shard, marked.
    Expired(RoutingKey),
    /// The ticket was dropped: the message is redelivered.
    Abandoned,
    /// This worker has no lease for the shard: the channel ends, and the message is redelivered.
    NoLease,
}

/// What the bus has to do before a settled delivery is acknowledged.
pub(crate) enum SettleAction {
    Acknowledge,
    Reply {
        command: Properties,
        event: Bytes,
    },
    DeadLetter {
        message: Message,
        reason: String,
        reply: Bytes,
    },
    Republish(Message),
    /// RabbitMQ did not route the message although its key is right: something is missing there,
    /// which has to be declared before the message is published again.
    Reroute {
        message: Message,
        key: RoutingKey,
    },
}

impl Disposition {
    /// The action that it takes; `None` if the delivery stays unsettled.
    pub(crate) fn into_action(self, message: Message) -> Option<SettleAction> {
        let dead_letter = |message: Message, reason: String, event: Option<Bytes>| {
            let reply = event.unwrap_or_else(|| message.unlogged_answer(&reason));
            SettleAction::DeadLetter { message, reason, reply }
        };
        Some(match self {
            Self::Abandoned | Self::NoLease => return None,
            Self::Settled(Settlement::Kept) => SettleAction::Acknowledge,
            Self::Settled(Settlement::Answered { event }) => {
                SettleAction::Reply { command: message.properties, event }
            }
            Self::Settled(Settlement::DeadLetter { reason, event }) => {
                dead_letter(message, reason, event)
            }
            Self::Forward(_) if message.forwarded => {
                dead_letter(message, "it was forwarded before".to_owned(), None)
            }
            Self::Forward(key) if message.key == key.to_string() => {
                SettleAction::Reroute { message: Message { forwarded: true, ..message }, key }
            }
            Self::Forward(key) => SettleAction::Republish(Message {
                key: key.to_string(),
                forwarded: true,
                ..message
            }),
            Self::Expired(key) => {
                SettleAction::Republish(Message { key: key.to_string(), expired: true, ..message })
            }
        })
    }
}
