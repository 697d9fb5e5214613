//! A dead letter: its headers, written and read.

use std::borrow::Cow;

use bytes::Bytes;
use contracts::{Command, CommandId, Properties};
use jiff::Timestamp;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use runtime::Clock;

use crate::amqp::codec;
use crate::amqp::publication::Publication;
use crate::amqp::signature::{MessageSigner, Signed};
use crate::message::Message;

/// Why a message is a dead letter.
const REASON: &str = "x-tdfleet-reason";
/// A dead letter's own id: a command may have several.
const LETTER: &str = "x-tdfleet-letter";
/// When a message became a dead letter, unix seconds.
const SINCE: &str = "x-tdfleet-since";
/// Routing key that a dead letter was published with.
const ROUTING_KEY: &str = "x-tdfleet-routing-key";
/// Whether the body was removed, since it may have held a secret.
const BODY_REMOVED: &str = "x-tdfleet-body-removed";

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
    /// A worker has put it there, as its signature shows; `None` if this process has no key to tell.
    pub signed: Option<bool>,
    /// It came without its body, which may have held a secret: it cannot be published again.
    pub body_removed: bool,
}

/// Selects dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetterSelector {
    /// Every one that is there when the operation begins; of these, only those that a worker has put
    /// there are published again.
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

    /// Whether a letter that [matches](Self::matches) may be published again.
    pub(crate) fn may_redrive(&self, letter: &DeadLetter) -> bool {
        let trusted = matches!(self, Self::Id(_)) || letter.signed == Some(true);
        trusted && !letter.body_removed
    }
}

/// A dead letter that was taken out of its queue and not acknowledged.
pub(crate) struct TakenLetter {
    pub(crate) tag: u64,
    pub(crate) letter: DeadLetter,
    pub(crate) message: Message,
}

impl TakenLetter {
    pub(crate) fn read(delivery: Delivery, position: u64, key: Option<&MessageSigner>) -> Self {
        let headers = delivery.properties.headers().clone();
        let own = DeadLetterHeaders::read(headers.as_ref());
        let unreadable = codec::unreadable(&delivery.properties).map(str::to_owned);
        let tag = delivery.delivery_tag;
        let routing_key = own.routing_key.clone().unwrap_or_default();
        let mut message = Message { key: routing_key, ..codec::message(delivery) };
        let parts = own.parts();
        let signed = key.map(|signer| {
            signer.verify(&mut message, headers.as_ref(), &Signed::DeadLetter(&parts))
        });
        let command_id = command_id(&message.body, &message.properties);
        let bytes = message.body.len();
        let DeadLetterHeaders { id, reason, routing_key, since, body_removed } = own;
        let reason = reason.or(unreadable);
        let letter = DeadLetter {
            position,
            id,
            command_id,
            routing_key,
            reason,
            since,
            bytes,
            signed,
            body_removed,
        };
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
    body_removed: bool,
}

impl DeadLetterHeaders {
    fn read(headers: Option<&FieldTable>) -> Self {
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
            body_removed: value(BODY_REMOVED) == Some(&AMQPValue::Boolean(true)),
        }
    }

    fn write(&self) -> FieldTable {
        let mut headers = FieldTable::default();
        let texts = [(REASON, &self.reason), (ROUTING_KEY, &self.routing_key), (LETTER, &self.id)];
        for (name, text) in texts {
            if let Some(text) = text {
                headers.insert(name.into(), codec::header(text));
            }
        }
        if let Some(seconds) = self.since.and_then(|since| u64::try_from(since.as_second()).ok()) {
            headers.insert(SINCE.into(), AMQPValue::Timestamp(seconds));
        }
        if self.body_removed {
            headers.insert(BODY_REMOVED.into(), AMQPValue::Boolean(true));
        }
        headers
    }

    /// What the signature covers; the routing key is part of the message.
    fn parts(&self) -> [Cow<'_, str>; 4] {
        let [id, reason] = [&self.id, &self.reason].map(|text| text.as_deref().unwrap_or_default());
        let since = self.since.map_or_else(String::new, |since| since.as_second().to_string());
        let removed = if self.body_removed { "removed" } else { "" };
        [
            codec::cut_header(id).into(),
            codec::cut_header(reason).into(),
            since.into(),
            removed.into(),
        ]
    }
}

/// The publication of a message that becomes a dead letter now. If its body may hold a secret, it is
/// removed, and the command's id is kept as AMQP's `message_id`.
pub(crate) fn dead_letter(
    message: Message,
    reason: &str,
    queue: ShortString,
    signer: &MessageSigner,
) -> Publication {
    let body_removed = contracts::may_hold_secret(&message.body);
    let mut message = message;
    if body_removed {
        message.properties.message_id = command_id(&message.body, &message.properties);
        message.body = Bytes::new();
    }
    let headers = DeadLetterHeaders {
        id: Some(CommandId::random().as_str().to_owned()),
        reason: Some(reason.to_owned()),
        routing_key: Some(message.key.clone()),
        since: Timestamp::from_second(Clock::system().now().as_second()).ok(),
        body_removed,
    };
    let properties = signer.sign(&message, &headers.write(), &Signed::DeadLetter(&headers.parts()));
    Publication { exchange: ShortString::default(), key: queue, properties, body: message.body }
}

#[cfg(test)]
mod tests {
    use contracts::CallerName;
    use lapin::types::LongString;
    use runtime::MacKey;

    use super::*;

    fn signer() -> MessageSigner {
        MessageSigner::new(MacKey::derive("0123456789abcdef", "tdfleet bus"))
    }

    fn message(body: &'static str) -> Message {
        Message {
            key: "cmd_hi.s055.acc.1.ping".to_owned(),
            body: Bytes::from_static(body.as_bytes()),
            properties: Properties { caller: CallerName::new("shop"), ..Properties::default() },
            timestamp: None,
            expired: false,
            forwarded: true,
            unreadable: None,
        }
    }

    fn taken(publication: Publication, signer: Option<&MessageSigner>) -> TakenLetter {
        let Publication { key, body, properties, .. } = publication;
        let mut delivery = Delivery::mock(1, "".into(), key, false, body.to_vec());
        delivery.properties = properties;
        TakenLetter::read(delivery, 1, signer)
    }

    #[test]
    fn a_letter_shows_who_wrote_it_and_who_sent_the_command() {
        let reason = "é".repeat(2000);
        let letter = || dead_letter(message("{}"), &reason, "q".into(), &signer());
        let read = taken(letter(), Some(&signer()));
        assert_eq!((read.letter.signed, read.letter.bytes), (Some(true), 2));
        assert_eq!(read.message.properties.caller, CallerName::new("shop"));
        assert_eq!(read.message.key, "cmd_hi.s055.acc.1.ping");
        assert_eq!(taken(letter(), None).letter.signed, None);
        let other = MessageSigner::new(MacKey::derive("another master key", "tdfleet bus"));
        assert_eq!(taken(letter(), Some(&other)).letter.signed, Some(false));
        for name in [REASON, ROUTING_KEY, LETTER, "x-tdfleet-caller"] {
            let mut forged = letter();
            let mut headers = forged.properties.headers().clone().unwrap();
            headers.insert(name.into(), AMQPValue::LongString(LongString::from("another")));
            forged.properties = forged.properties.with_headers(headers);
            let read = taken(forged, Some(&signer()));
            assert_eq!(read.letter.signed, Some(false), "{name}");
            assert_eq!(read.message.properties.caller, None);
        }
    }

    #[test]
    fn a_letter_has_no_body_that_may_hold_a_secret() {
        let body = r#"{"command": "send_code", "command_id": "c-1", "code": "12345"}"#;
        let letter = dead_letter(message(body), "why", "q".into(), &signer());
        assert!(letter.body.is_empty());
        let read = taken(letter, Some(&signer())).letter;
        assert!(read.body_removed && read.signed == Some(true));
        assert_eq!(read.command_id.as_deref(), Some("c-1"));
    }
}
