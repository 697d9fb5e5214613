//! Reading an event's envelope.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::ids::{AccountId, EventId};

/// An event's envelope without its content: whose it is, its position in the log, and whether it is
/// an error. One parse, without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventEnvelope {
    /// `userbot_id`; `None` in the answer to a message that names no account.
    pub account: Option<AccountId>,
    /// `payload._meta.event_id`; `None` in an answer that is not in the log.
    pub id: Option<EventId>,
    /// `payload._meta.prev`; `None` for the account's first event.
    pub prev: Option<EventId>,
    /// `payload.error` is there: a command failed.
    pub failed: bool,
}

impl EventEnvelope {
    /// Reads an envelope; `None` if the JSON is not one of tdfleet's.
    pub fn read(json: &[u8]) -> Option<Self> {
        let WireEvent { userbot_id, payload } = serde_json::from_slice(json).ok()?;
        let WirePayload { error, meta } = payload;
        let id = |text: Option<&str>| text.map(str::parse).transpose().ok();
        Some(Self {
            account: userbot_id,
            id: id(meta.event_id)?,
            prev: id(meta.prev)?,
            failed: error.is_some(),
        })
    }
}

#[derive(Deserialize)]
struct WireEvent<'a> {
    userbot_id: Option<AccountId>,
    #[serde(borrow)]
    payload: WirePayload<'a>,
}

#[derive(Deserialize)]
struct WirePayload<'a> {
    error: Option<IgnoredAny>,
    #[serde(borrow, rename = "_meta")]
    meta: EventWireMeta<'a>,
}

#[derive(Deserialize)]
struct EventWireMeta<'a> {
    event_id: Option<&'a str>,
    prev: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::error::ErrorInfo;
    use crate::event::{Body, Event, EventMeta, UnloggedError};
    use crate::ids::Epoch;

    #[test]
    fn the_reader_understands_the_writer() {
        let account = AccountId::new(7).unwrap();
        let prev = EventId::first(Epoch(42));
        let body = Body::Result(r#"{"error": "not this one", "_meta": {"event_id": 1}}"#.into());
        let meta = EventMeta::at(Timestamp::UNIX_EPOCH);
        let event = Event { account, kind: "ping".into(), body, meta };
        let mut json = Vec::new();
        event.encode(prev.next(), Some(prev), &mut json);
        let expected = EventEnvelope {
            account: Some(account),
            id: Some(prev.next()),
            prev: Some(prev),
            failed: false,
        };
        assert_eq!(EventEnvelope::read(&json), Some(expected));
    }

    #[test]
    fn an_answer_outside_the_log_has_no_position() {
        let answer = UnloggedError {
            account: None,
            command: None,
            id: None,
            correlation_id: None,
            error: "no",
            info: &ErrorInfo::invalid_request(),
            occurred_at: Timestamp::MIN,
        };
        let expected = EventEnvelope { account: None, id: None, prev: None, failed: true };
        assert_eq!(EventEnvelope::read(&answer.encode()), Some(expected));
    }

    #[test]
    fn anything_else_is_not_an_event() {
        for json in [
            "?",
            "{}",
            r#"{"userbot_id": 1, "payload": {"_meta": {"event_id": "x"}}}"#,
            r#"{"userbot_id": 0, "payload": {"_meta": {"event_id": "1-1"}}}"#,
            r#"{"userbot_id": 1, "payload": {"_meta": {"event_id": "1-2", "prev": "x"}}}"#,
        ] {
            assert_eq!(EventEnvelope::read(json.as_bytes()), None, "{json}");
        }
    }
}
