//! Commands: the envelope a backend puts on the queue, read and written here alone.
//!
//! ```json
//! {"command": "send_code", "userbot_id": 1, "code": "12345", "command_id": "…",
//!  "_meta": {"schema_version": "v1", "correlation_id": "…", "trace_id": "…",
//!            "issued_at": "2026-11-21T20:23:00.000Z", "deadline": "2026-11-21T21:23:00.000Z",
//!            "flow": "cmd_hi", "shard": "s055", "expected_owner_epoch": 42}}
//! ```
//!
//! Only the name and `userbot_id` are required. Any other member is one of the command's own
//! fields.

mod members;
mod meta;
mod properties;
mod read;
mod secrets;
mod unreadable;
mod write;

pub use members::{Field, shortened};
pub use meta::{CommandMeta, DEFAULT_DEADLINE, SECRET_DEADLINE};
pub use properties::Properties;
pub use read::Command;
pub use secrets::{SECRET_FIELDS, may_hold_secret};
pub use unreadable::UnreadableCommand;
pub use write::{CommandEnvelope, RESERVED_FIELDS};
