//! Messages to and from AMQP's form.

use bytes::Bytes;
use contracts::{CallerName, Properties};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use crate::amqp::frame_filter::{MARK as UNREADABLE, UnreadableProperties};
use crate::amqp::publication::Publication;
use crate::message::Message;

const PERSISTENT: u8 = 2;
/// W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// Longest header that is passed on, in bytes: headers share one AMQP frame.
const MAX_HEADER: usize = 1024;

/// The text as an AMQP short string, if it fits. A text that came from AMQP always does.
pub(crate) fn short_string(text: &str) -> Option<ShortString> {
    ShortString::try_new(text).ok()
}

/// The text as a header's value, cut to [`MAX_HEADER`].
pub(crate) fn header(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(cut_header(text).as_bytes()))
}

/// As much of a text as a header holds.
pub(crate) fn cut_header(text: &str) -> &str {
    let mut end = text.len().min(MAX_HEADER);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Reads a delivery as it was sent: without marks, which count only in a signed message.
pub(crate) fn message(delivery: lapin::message::Delivery) -> Message {
    let properties = &delivery.properties;
    let text = |value: &Option<ShortString>| value.as_ref().map(|text| text.as_str().to_owned());
    let headers = properties.headers().as_ref();
    let user = properties.user_id().as_ref();
    Message {
        properties: Properties {
            message_id: text(properties.message_id()),
            correlation_id: text(properties.correlation_id()),
            reply_to: text(properties.reply_to()),
            traceparent: headers
                .and_then(|headers| headers.inner().get(TRACEPARENT))
                .and_then(header_text),
            caller: user.and_then(|user| CallerName::new(user.as_str())),
        },
        timestamp: *properties.timestamp(),
        expired: false,
        forwarded: false,
        unreadable: unreadable(properties),
        key: delivery.routing_key.into(),
        body: Bytes::from(delivery.data),
    }
}

/// Why the properties of a message were replaced when it arrived, if they were.
pub(crate) fn unreadable(properties: &BasicProperties) -> Option<&'static str> {
    let headers = properties.headers().as_ref()?;
    let Some(AMQPValue::ShortShortUInt(code)) = headers.inner().get(UNREADABLE) else {
        return None;
    };
    UnreadableProperties::of_code(*code).map(UnreadableProperties::reason)
}

/// The text of a header's value.
pub(crate) fn header_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

/// The AMQP properties of a message to be published, without its marks and its caller.
pub(crate) fn properties(message: &Message) -> BasicProperties {
    let Properties { message_id, correlation_id, reply_to, traceparent, caller: _ } =
        &message.properties;
    let mut headers = FieldTable::default();
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT.into(), header(traceparent));
    }
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_headers(headers);
    if let Some(id) = message_id.as_deref().and_then(short_string) {
        properties = properties.with_message_id(id);
    }
    if let Some(id) = correlation_id.as_deref().and_then(short_string) {
        properties = properties.with_correlation_id(id);
    }
    if let Some(queue) = reply_to.as_deref().and_then(short_string) {
        properties = properties.with_reply_to(queue);
    }
    if let Some(seconds) = message.timestamp {
        properties = properties.with_timestamp(seconds);
    }
    properties
}

/// The publication of a new command, under the name of its caller: the connection's user.
pub(crate) fn command(exchange: ShortString, message: Message) -> Publication {
    // A key that is too long is unroutable; `CommandRequest` never makes one.
    let key = short_string(&message.key).unwrap_or_default();
    let mut properties = properties(&message);
    let caller = message.properties.caller.as_ref();
    if let Some(user) = caller.and_then(|caller| short_string(caller.as_str())) {
        properties = properties.with_user_id(user);
    }
    Publication { exchange, key, properties, body: message.body }
}

/// The AMQP properties of a reply: it repeats the command's ids, so that the caller can match it.
pub(crate) fn reply_properties(command: &Properties) -> BasicProperties {
    let mut properties = BasicProperties::default().with_content_type("application/json".into());
    if let Some(id) = command.message_id.as_deref().and_then(short_string) {
        properties = properties.with_message_id(id);
    }
    let correlation_id = command.correlation_id.as_ref().or(command.message_id.as_ref());
    if let Some(id) = correlation_id.and_then(|id| short_string(id)) {
        properties = properties.with_correlation_id(id);
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_cut_between_characters() {
        let AMQPValue::LongString(cut) = header(&"é".repeat(MAX_HEADER)) else {
            panic!("a long string");
        };
        assert_eq!(cut.to_string(), "é".repeat(MAX_HEADER / 2));
    }

    #[test]
    fn ids_and_caller_survive_the_round_trip() {
        let sent = Message {
            key: "cmd_hi.s055.acc.1.x".to_owned(),
            body: Bytes::from_static(b"{}"),
            properties: Properties {
                message_id: Some("m".to_owned()),
                correlation_id: Some("c".to_owned()),
                reply_to: Some("q".to_owned()),
                traceparent: Some("00-1-2-01".to_owned()),
                caller: CallerName::new("shop"),
            },
            timestamp: Some(7),
            expired: false,
            forwarded: false,
            unreadable: None,
        };
        let mut delivery = lapin::message::Delivery::mock(
            1,
            "".into(),
            sent.key.as_str().into(),
            false,
            sent.body.to_vec(),
        );
        delivery.properties = command("e".into(), sent.clone()).properties;
        let read = message(delivery);
        assert_eq!(format!("{:?}", read.properties), format!("{:?}", sent.properties));
        assert_eq!((read.timestamp, read.key, read.body), (Some(7), sent.key, sent.body));
    }
}
