//! A dead letter: its headers, written and read.

use contracts::{Command, CommandId, Properties};
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use runtime::Clock;

use crate::amqp::codec;
use crate::message::Message;

/// Why a message is a dead letter.
const REASON: &str = "x-tdfleet-reason";
/// A dead letter's own id: a command may have several.
const LETTER: &str = "x-tdfleet-letter";
/// When a message became a dead letter, unix seconds.
const SINCE: &str = "x-tdfleet-since";
/// Routing key that a dead letter was published with.
const ROUTING_KEY: &str = "x-tdfleet-routing-key";

/// One dead letter, without its body.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its position in the queue when it was read, from 1.
    pub position: u64,
    /// Its own id; `None` if tdfleet did not put it there.
    pub id: Option<String>,
    /// The command's id, if it had one.
    pub command_id: Option<String>,
    /// The routing key it was published with.
    pub routing_key: Option<String>,
    /// Why it is here.
    pub reason: Option<String>,
    /// When it became a dead letter.
    pub since: Option<Timestamp>,
    /// Length of the body in bytes.
    pub bytes: usize,
}

/// Selects dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetterSelector {
    /// Every one that is there when the operation begins.
    All,
    /// Those with this id: a dead letter's own, or a command's.
    Id(String),
}

impl DeadLetterSelector {
    pub(crate) fn matches(&self, letter: &DeadLetter) -> bool {
        match self {
            Self::All => true,
            Self::Id(id) => {
                letter.id.as_ref() == Some(id) || letter.command_id.as_ref() == Some(id)
            }
        }
    }
}

/// A dead letter that was taken out of its queue and not acknowledged.
pub(crate) struct TakenLetter {
    pub(crate) tag: u64,
    pub(crate) letter: DeadLetter,
    pub(crate) message: Message,
}

impl TakenLetter {
    pub(crate) fn read(delivery: Delivery, position: u64) -> Self {
        let headers = DeadLetterHeaders::read(&delivery.properties);
        let DeadLetterHeaders { id, reason, routing_key, since } = headers;
        let unreadable = codec::unreadable(&delivery.properties).map(str::to_owned);
        let reason = reason.or(unreadable);
        let tag = delivery.delivery_tag;
        let message = codec::message(delivery);
        let command_id = command_id(&message.body, &message.properties);
        let bytes = message.body.len();
        let letter = DeadLetter { position, id, command_id, routing_key, reason, since, bytes };
        Self { tag, letter, message }
    }
}

/// The id that identifies the message's command.
fn command_id(body: &[u8], properties: &Properties) -> Option<String> {
    let id = match Command::read(body, properties, None) {
        Ok(command) => command.id,
        Err(unreadable) => unreadable.id,
    };
    id.map(|id| id.as_str().to_owned()).or_else(|| properties.message_id.clone())
}

/// The headers of a dead letter; a message that tdfleet did not put there has none of them.
struct DeadLetterHeaders {
    id: Option<String>,
    reason: Option<String>,
    routing_key: Option<String>,
    since: Option<Timestamp>,
}

impl DeadLetterHeaders {
    fn read(properties: &BasicProperties) -> Self {
        let headers = properties.headers().as_ref();
        let value = |name| headers.and_then(|headers: &FieldTable| headers.inner().get(name));
        let text = |name| value(name).and_then(codec::header_text);
        let since = match value(SINCE) {
            Some(AMQPValue::Timestamp(seconds)) => i64::try_from(*seconds).ok(),
            _ => None,
        };
        Self {
            id: text(LETTER),
            reason: text(REASON),
            routing_key: text(ROUTING_KEY),
            since: since.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        }
    }
}

/// The AMQP properties of a message that becomes a dead letter now.
pub(crate) fn dead_letter_properties(message: &Message, reason: &str) -> BasicProperties {
    let properties = codec::properties(message);
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert(REASON.into(), codec::header(reason));
    headers.insert(ROUTING_KEY.into(), codec::header(&message.key));
    headers.insert(LETTER.into(), codec::header(CommandId::random().as_str()));
    headers.insert(SINCE.into(), AMQPValue::Timestamp(Clock::system().unix_seconds()));
    properties.with_headers(headers)
}
