//! Who sent a command, and the command's key in the ledger.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::ids::CommandId;

/// Who sent a command: the AMQP user that published it, 1 to 255 bytes. It is AMQP's `user_id`:
/// RabbitMQ refuses a publish that names another user than the connection's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct CallerName(Arc<str>);

impl CallerName {
    /// `None` unless the text has 1 to 255 bytes.
    pub fn new(text: &str) -> Option<Self> {
        (1..=255).contains(&text.len()).then(|| Self(text.into()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identifies a command in its account's ledger: two callers may choose the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerKey {
    /// Who sent it; `None` if the message has no `user_id`.
    pub caller: Option<CallerName>,
    /// The id that the caller chose, or its first owner.
    pub command: CommandId,
}

/// For a log line: the caller's name is left out.
impl fmt::Display for LedgerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.fmt(f)
    }
}
