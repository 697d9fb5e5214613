//! Events: the envelope that goes to Redis and to `reply_to`, written and read here alone.
//!
//! ```json
//! {"type": "chat_update", "userbot_id": 1,
//!  "payload": {"userbot_id": 1, "type": "get_active_sessions", "result": {},
//!              "_meta": {"event_id": "42-17", "prev": "42-16", "command_id": "…", "correlation_id": "…",
//!                        "trace_id": "…", "occurred_at": "2026-11-21T20:23:00.000Z", "schema_version": "v1"}}}
//! ```

mod read;
mod unlogged;
mod write;

pub use read::EventEnvelope;
pub use unlogged::UnloggedError;
pub use write::{Body, Event, EventMeta};

/// Version of the envelopes, in every `_meta.schema_version`.
pub const SCHEMA_VERSION: &str = "v1";
