//! One dead letter, as it is read out of its queue.

use contracts::{Command, Properties};
use jiff::Timestamp;
use lapin::message::Delivery;

use crate::amqp::wire::{self, Epitaph};
use crate::message::Message;

/// One dead letter, without its body.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its place in the queue when it was seen, from 1 on.
    pub position: u64,
    /// Its own id; `None` where it was not tdfleet that put it there.
    pub id: Option<String>,
    /// The command's id, if it had one.
    pub command_id: Option<String>,
    /// The routing key it was published with.
    pub routing_key: Option<String>,
    /// Why it is here.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Length of the body in bytes.
    pub bytes: usize,
}

/// Which dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Every one that was there when the work began.
    All,
    /// Those with this id: a letter's own, or a command's.
    Id(String),
}

impl DeadLetter {
    /// Whether it is among `which`.
    pub(crate) fn is(&self, which: &Which) -> bool {
        match which {
            Which::All => true,
            Which::Id(id) => self.id.as_ref() == Some(id) || self.command_id.as_ref() == Some(id),
        }
    }
}

/// A letter in our hands.
pub(crate) struct Taken {
    pub(crate) tag: u64,
    pub(crate) letter: DeadLetter,
    pub(crate) message: Message,
}

/// Reads a letter that was taken out of the queue.
pub(crate) fn read(delivery: Delivery, position: u64) -> Taken {
    let Epitaph { letter, reason, key, since } = wire::epitaph(&delivery.properties);
    let tag = delivery.delivery_tag;
    let message = wire::message(delivery);
    let since = since.and_then(|seconds| Timestamp::from_second(i64::try_from(seconds).ok()?).ok());
    let letter = DeadLetter {
        position,
        id: letter,
        command_id: command_id(&message.body, &message.properties),
        routing_key: key,
        reason,
        since,
        bytes: message.body.len(),
    };
    Taken { tag, letter, message }
}

/// The id that the message's command goes by.
fn command_id(body: &[u8], properties: &Properties) -> Option<String> {
    let id = match Command::read(body, properties, None) {
        Ok(command) => command.id,
        Err(unreadable) => unreadable.id,
    };
    id.map(|id| id.as_str().to_owned()).or_else(|| properties.message_id.clone())
}
