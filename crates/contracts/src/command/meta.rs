//! `_meta` of a command.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use crate::command::members::{Field, ObjectMembers, text};

/// How long a command without a `deadline` may wait to be run: one hour.
pub const DEFAULT_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

/// How long a command with one of the [`SECRET_FIELDS`](super::SECRET_FIELDS) may wait at most,
/// whatever its `deadline` says: two minutes.
pub const SECRET_DEADLINE: SignedDuration = SignedDuration::from_mins(2);

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
            match &*name {
                "correlation_id" => meta.correlation_id = Some(string()?.into()),
                "trace_id" => meta.trace_id = Some(string()?.into()),
                "deadline" => {
                    let deadline = string()?.parse();
                    meta.deadline = Some(deadline.map_err(|_| must_be("an RFC 3339 time"))?);
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

/// The trace id inside a W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
pub(super) fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}
