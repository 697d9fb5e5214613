//! Writing an event.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;

use crate::caller::CallerName;
use crate::error::ErrorInfo;
use crate::event::SCHEMA_VERSION;
use crate::ids::{AccountId, CommandId, EventId};

/// One fact about one account, before the log assigns its id.
#[derive(Clone, Debug)]
pub struct Event {
    /// The account.
    pub account: AccountId,
    /// `payload.type`: a command's name, `<command>_error`, a TDLib update's name, or one of tdfleet's.
    pub kind: Cow<'static, str>,
    /// `payload.result`, or `payload.error` with `payload.error_info`.
    pub body: Body,
    /// Which command it answers, and when it happened.
    pub meta: EventMeta,
}

/// An event's content.
#[derive(Clone)]
pub enum Body {
    /// A JSON value as text, copied as it is: the caller guarantees that it is JSON.
    Result(Box<str>),
    /// A command failed: the contract's exact error string, and the same for programs.
    Error(Cow<'static, str>, Box<ErrorInfo>),
}

/// Results may hold message text: only the size shows.
impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Result(json) => write!(f, "Result({} bytes)", json.len()),
            Self::Error(_, info) => write!(f, "Error({:?})", info.code),
        }
    }
}

/// `payload._meta` without the ids that the log assigns.
#[derive(Clone, Debug)]
pub struct EventMeta {
    /// The command this is the answer to.
    pub command_id: Option<CommandId>,
    /// The caller's own id, echoed.
    pub correlation_id: Option<Arc<str>>,
    /// The trace this belongs to.
    pub trace_id: Option<Arc<str>>,
    /// Who sent the command, if that is known.
    pub requested_by: Option<CallerName>,
    /// When it happened; written in UTC to the millisecond.
    pub occurred_at: Timestamp,
}

impl EventMeta {
    /// For an event that answers no command.
    pub fn at(occurred_at: Timestamp) -> Self {
        Self {
            command_id: None,
            correlation_id: None,
            trace_id: None,
            requested_by: None,
            occurred_at,
        }
    }
}

impl Event {
    /// Appends the event's JSON to `out`, with the id that the log assigns and the id of the event
    /// before it in the account's log (`None` for the first).
    pub fn encode(&self, id: EventId, prev: Option<EventId>, out: &mut Vec<u8>) {
        // Writing into a Vec cannot fail.
        drop(self.write(id, prev, out));
    }

    fn write(&self, id: EventId, prev: Option<EventId>, out: &mut Vec<u8>) -> std::io::Result<()> {
        let account = self.account;
        write!(
            out,
            r#"{{"type":"chat_update","userbot_id":{account},"payload":{{"userbot_id":{account},"type":"#
        )?;
        string(out, &self.kind)?;
        match &self.body {
            Body::Result(json) => {
                out.extend_from_slice(br#","result":"#);
                out.extend_from_slice(json.as_bytes());
            }
            Body::Error(text, info) => {
                out.extend_from_slice(br#","error":"#);
                string(out, text)?;
                out.extend_from_slice(br#","error_info":"#);
                serde_json::to_writer(&mut *out, info)?;
            }
        }
        write!(out, r#","_meta":{{"event_id":"{id}""#)?;
        if let Some(prev) = prev {
            write!(out, r#","prev":"{prev}""#)?;
        }
        let meta = &self.meta;
        let ids = [
            ("command_id", meta.command_id.as_ref().map(CommandId::as_str)),
            ("correlation_id", meta.correlation_id.as_deref()),
            ("trace_id", meta.trace_id.as_deref()),
            ("requested_by", meta.requested_by.as_ref().map(CallerName::as_str)),
        ];
        for (name, value) in ids {
            if let Some(value) = value {
                write!(out, r#","{name}":"#)?;
                string(out, value)?;
            }
        }
        let at = meta.occurred_at;
        write!(out, r#","occurred_at":"{at:.3}","schema_version":"{SCHEMA_VERSION}"}}}}}}"#)
    }
}

fn string(out: &mut Vec<u8>, text: &str) -> serde_json::Result<()> {
    serde_json::to_writer(out, text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::{ErrorCode, ErrorSource};
    use crate::ids::Epoch;

    fn encoded(kind: &'static str, body: Body, prev: Option<EventId>) -> Value {
        let event = Event {
            account: AccountId::new(7).unwrap(),
            kind: kind.into(),
            body,
            meta: EventMeta {
                command_id: CommandId::new("c-1"),
                correlation_id: Some("say \"hi\"".into()),
                trace_id: None,
                requested_by: CallerName::new("shop"),
                occurred_at: Timestamp::from_millisecond(1_795_000_000_000).unwrap(),
            },
        };
        let mut out = Vec::new();
        event.encode(EventId { epoch: Epoch(42), n: 17 }, prev, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_result_is_wrapped_as_a_chat_update() {
        let prev = EventId { epoch: Epoch(42), n: 16 };
        let event = encoded("get_active_sessions", Body::Result(r#"{"a":1}"#.into()), Some(prev));
        let expected = json!({
            "type": "chat_update", "userbot_id": 7,
            "payload": {
                "userbot_id": 7, "type": "get_active_sessions", "result": {"a": 1},
                "_meta": {
                    "event_id": "42-17", "prev": "42-16", "command_id": "c-1",
                    "correlation_id": "say \"hi\"", "requested_by": "shop",
                    "occurred_at": "2026-11-18T11:06:40.000Z", "schema_version": "v1",
                },
            },
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn an_error_has_its_text_and_a_code_for_programs() {
        let info = ErrorInfo {
            tdlib_code: Some(429),
            retry_after: Some(31),
            ..ErrorInfo::new(ErrorCode::FloodWait, ErrorSource::Tdlib, true)
        };
        let event = encoded("x_error", Body::Error("Too Many".into(), Box::new(info)), None);
        let payload = &event["payload"];
        assert_eq!(payload["error"], "Too Many");
        assert_eq!(
            payload["error_info"],
            json!({"code": "flood_wait", "source": "tdlib", "retriable": true, "tdlib_code": 429, "retry_after": 31})
        );
        assert_eq!((payload.get("result"), payload["_meta"].get("prev")), (None, None));
    }

    #[test]
    fn debug_output_never_shows_a_result() {
        let body = Body::Result(r#"{"text":"secret"}"#.into());
        assert_eq!(format!("{body:?}"), "Result(17 bytes)");
    }
}
