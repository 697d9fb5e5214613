//! `_meta` of a command.

use std::sync::Arc;

use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use crate::command::members::{Field, ObjectMembers, text};

/// How long a command without a `deadline` may wait to be run: one hour.
pub const DEFAULT_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

/// How long a command with one of the [`SECRET_FIELDS`](super::SECRET_FIELDS) may wait at most,
/// whatever its `deadline` says: two minutes.
pub const SECRET_DEADLINE: SignedDuration = SignedDuration::from_mins(2);

/// Longest id that is echoed, in bytes: as long as AMQP allows for its own.
const MAX_ID: usize = 255;

/// `_meta` of a command, as far as it was given; unknown members are ignored.
#[derive(Clone, Debug, Default)]
pub struct CommandMeta {
    /// Echoed in the answer. AMQP's `correlation_id`.
    pub correlation_id: Option<Arc<str>>,
    /// Echoed in the answer. The trace id of the header `traceparent`.
    pub trace_id: Option<Arc<str>>,
    /// The command is not run after this time.
    pub deadline: Option<Timestamp>,
    /// The command is refused unless the owner has this epoch.
    pub expected_owner_epoch: Option<u64>,
}

impl CommandMeta {
    /// Reads the object; `Err` has the error string of the answer.
    pub(super) fn read(value: &RawValue) -> Result<Self, String> {
        let mut meta = Self::default();
        let Ok(ObjectMembers(members)) = serde_json::from_str(value.get()) else {
            return Err("_meta must be an object".to_owned());
        };
        for Field { name, value } in members {
            if value.get() == "null" {
                continue;
            }
            let must_be = |what: &str| format!("_meta.{name} must be {what}");
            let string = || text(value).ok_or_else(|| must_be("a string"));
            let id = || match string()? {
                id if id.len() <= MAX_ID => Ok(Some(id.into())),
                _ => Err(must_be("at most 255 bytes")),
            };
            match &*name {
                "correlation_id" => meta.correlation_id = id()?,
                "trace_id" => meta.trace_id = id()?,
                "deadline" => {
                    let deadline = time(&string()?);
                    meta.deadline = Some(deadline.ok_or_else(|| must_be("an RFC 3339 time"))?);
                }
                "expected_owner_epoch" => {
                    let epoch = value.get().parse();
                    meta.expected_owner_epoch = Some(epoch.map_err(|_| must_be("an integer"))?);
                }
                _ => {}
            }
        }
        Ok(meta)
    }
}

/// The time; one beyond what a [`Timestamp`] can hold is the last or the first that it can.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let pieces = Pieces::parse(text).ok()?;
    let complete = pieces.time().is_some() && pieces.offset().is_some();
    match pieces.date().year() {
        9999 if complete => Some(Timestamp::MAX),
        -9999 if complete => Some(Timestamp::MIN),
        _ => None,
    }
}

/// The trace id inside a W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
pub(super) fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}
