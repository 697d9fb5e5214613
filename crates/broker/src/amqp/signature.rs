//! The signature of messages that this installation writes to RabbitMQ itself.

use std::borrow::Cow;

use contracts::{CallerName, Properties};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use runtime::MacKey;

use crate::amqp::codec;
use crate::amqp::publication::Publication;
use crate::message::Message;

/// The signature: a message authentication code over the message and its marks.
const SIGNATURE: &str = "x-tdfleet-mac";
/// Who sent the command. A worker that publishes it again cannot name another AMQP user than its own.
const CALLER: &str = "x-tdfleet-caller";
/// RabbitMQ removed the message from its queue.
const EXPIRED: &str = "x-tdfleet-expired";
/// The message was forwarded once.
const FORWARDED: &str = "x-tdfleet-forwarded";

/// Signs messages that are published again, and dead letters. Whoever may publish can write any
/// header; only what is signed is believed.
#[derive(Clone)]
pub(crate) struct MessageSigner(MacKey);

/// What a signature says beside the message itself.
pub(crate) enum Signed<'a> {
    /// It is on its way to an owner, with its marks.
    Command,
    /// It is a dead letter: the values of its own headers.
    DeadLetter(&'a [Cow<'a, str>]),
}

impl MessageSigner {
    pub(crate) fn new(key: MacKey) -> Self {
        Self(key)
    }

    /// The publication of a message that came from RabbitMQ: a command that goes to its owner.
    pub(crate) fn republication(&self, exchange: ShortString, message: Message) -> Publication {
        let properties = self.sign(&message, FieldTable::default(), &Signed::Command);
        // A key that came from AMQP fits.
        let key = codec::short_string(&message.key).unwrap_or_default();
        Publication { exchange, key, properties, body: message.body }
    }

    /// The AMQP properties of a message with these headers, its marks and the signature.
    pub(crate) fn sign(
        &self,
        message: &Message,
        own: FieldTable,
        what: &Signed<'_>,
    ) -> BasicProperties {
        let properties = codec::properties(message);
        let mut headers = properties.headers().clone().unwrap_or_default();
        for (name, value) in own.inner() {
            headers.insert(name.clone(), value.clone());
        }
        for (name, set) in [(EXPIRED, message.expired), (FORWARDED, message.forwarded)] {
            if set {
                headers.insert(name.into(), AMQPValue::Boolean(true));
            }
        }
        if let Some(caller) = &message.properties.caller {
            headers.insert(CALLER.into(), codec::header(caller.as_str()));
        }
        let signature = self.0.tag(parts(message, what).iter().map(AsRef::as_ref));
        headers.insert(SIGNATURE.into(), codec::header(&signature));
        properties.with_headers(headers)
    }

    /// Reads a delivery: the marks and the caller of a signed message are those in its headers.
    pub(crate) fn read(&self, delivery: lapin::message::Delivery) -> Message {
        let headers = delivery.properties.headers().clone();
        let message = codec::message(delivery);
        self.verified(message, headers.as_ref(), &Signed::Command).unwrap_or_else(|plain| plain)
    }

    /// The message as its headers have it if it is signed as this, and without change if not.
    pub(crate) fn verified(
        &self,
        message: Message,
        headers: Option<&FieldTable>,
        what: &Signed<'_>,
    ) -> Result<Message, Message> {
        let value = |name| headers.and_then(|headers| headers.inner().get(name));
        let Some(signature) = value(SIGNATURE).and_then(codec::header_text) else {
            return Err(message);
        };
        let set = |name| value(name) == Some(&AMQPValue::Boolean(true));
        let caller = value(CALLER).and_then(codec::header_text);
        let caller = caller.as_deref().and_then(CallerName::new);
        let properties = Properties { caller, ..message.properties.clone() };
        let (expired, forwarded) = (set(EXPIRED), set(FORWARDED));
        let signed = Message { properties, expired, forwarded, ..message.clone() };
        if self.0.verifies(&signature, parts(&signed, what).iter().map(AsRef::as_ref)) {
            Ok(signed)
        } else {
            tracing::warn!(bytes = message.body.len(), "a message has a forged signature");
            Err(message)
        }
    }
}

/// Everything that counts in a message.
fn parts<'a>(message: &'a Message, what: &'a Signed<'_>) -> Vec<Cow<'a, [u8]>> {
    let Message { key, body, properties, expired, forwarded, .. } = message;
    let Properties { message_id, correlation_id, reply_to, traceparent, caller } = properties;
    let (word, own): (&[u8], &[Cow<'_, str>]) = match what {
        Signed::Command => (b"command", &[]),
        Signed::DeadLetter(own) => (b"dead letter", own),
    };
    let marks = [u8::from(*expired), u8::from(*forwarded)];
    let mut parts: Vec<Cow<'a, [u8]>> =
        vec![word.into(), key.as_bytes().into(), body[..].into(), marks.to_vec().into()];
    let texts = [
        message_id.as_deref(),
        correlation_id.as_deref(),
        reply_to.as_deref(),
        traceparent.as_deref().map(codec::cut_header),
        caller.as_ref().map(CallerName::as_str),
    ];
    for text in texts {
        // An absent value is no empty one.
        parts.push([u8::from(text.is_some())].to_vec().into());
        parts.push(text.unwrap_or_default().as_bytes().into());
    }
    parts.extend(own.iter().map(|value| Cow::Borrowed(value.as_bytes())));
    parts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn signer() -> MessageSigner {
        MessageSigner::new(MacKey::derive("0123456789abcdef", "tdfleet bus"))
    }

    fn message() -> Message {
        Message {
            key: "cmd_hi.s055.acc.1.x".to_owned(),
            body: Bytes::from_static(b"{}"),
            properties: Properties {
                message_id: Some("m".to_owned()),
                correlation_id: None,
                reply_to: Some("q".to_owned()),
                traceparent: Some("é".repeat(1000)),
                caller: CallerName::new("shop"),
            },
            timestamp: Some(7),
            expired: true,
            forwarded: true,
            unreadable: None,
        }
    }

    fn delivered(publication: &Publication) -> lapin::message::Delivery {
        let key = publication.key.clone();
        let body = publication.body.to_vec();
        let mut delivery = lapin::message::Delivery::mock(1, "".into(), key, false, body);
        delivery.properties = publication.properties.clone();
        delivery
    }

    #[test]
    fn marks_and_caller_survive_the_round_trip_of_a_signed_message() {
        let publication = signer().republication("e".into(), message());
        assert!(publication.properties.user_id().is_none());
        let read = signer().read(delivered(&publication));
        assert!(read.expired && read.forwarded);
        assert_eq!(read.properties.caller, CallerName::new("shop"));
        assert_eq!(read.properties.message_id.as_deref(), Some("m"));
    }

    #[test]
    fn nothing_in_the_headers_of_an_unsigned_message_is_believed() {
        let publication = signer().republication("e".into(), message());
        let change = |name: &str, value: Option<AMQPValue>| {
            let mut changed = delivered(&publication);
            let mut headers = FieldTable::default();
            for (header, value) in changed.properties.headers().as_ref().unwrap().inner() {
                if header.as_str() != name {
                    headers.insert(header.clone(), value.clone());
                }
            }
            if let Some(value) = value {
                headers.insert(name.into(), value);
            }
            changed.properties =
                changed.properties.with_headers(headers).with_user_id("eve".into());
            changed
        };
        let mut other_body = delivered(&publication);
        other_body.data = b"{ }".to_vec();
        other_body.properties = other_body.properties.with_user_id("eve".into());
        for forged in [
            change(SIGNATURE, None),
            change(SIGNATURE, Some(codec::header("00"))),
            change(CALLER, Some(codec::header("bank"))),
            change(CALLER, None),
            change(FORWARDED, Some(AMQPValue::Boolean(false))),
            change("traceparent", None),
            other_body,
        ] {
            let read = signer().read(forged);
            assert!(!read.expired && !read.forwarded);
            assert_eq!(read.properties.caller, CallerName::new("eve"));
        }
    }
}
