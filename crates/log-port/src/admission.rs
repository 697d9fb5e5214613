use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use contracts::CommandId;

use crate::pending::PendingPosition;

/// Distinguishes two commands with the same id by their content: a keyed hash of name and fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandFingerprint(pub u64);

/// Sixteen hexadecimal digits.
impl fmt::Display for CommandFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Asks the ledger whether a command may be run, or answered without being run.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The command.
    pub command: CommandId,
    /// Its content.
    pub fingerprint: CommandFingerprint,
    /// To run it, or to answer it without running it.
    pub intent: Intent,
}

/// What an owner is about to do with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Dispatch it to TDLib; the ledger records that.
    Run {
        /// Running it twice has the same effect as running it once.
        idempotent: bool,
    },
    /// Answer it without running it; the ledger records nothing.
    Refuse,
}

/// The ledger's answer to an [`Admission`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdmissionVerdict {
    /// Go ahead. A command to be run counts as dispatched from now on.
    Proceed,
    /// It is answered already, by this event; `None` if the log has trimmed it.
    Done(Option<Bytes>),
    /// The id belongs to a command with another content.
    Conflict,
    /// It was dispatched before, here or by an earlier owner, and its outcome is unknown; it is not
    /// idempotent, or was not to be run now.
    Dispatched,
    /// It was dispatched [`MAX_DISPATCHES`] times and never finished.
    Poison,
}

/// How often an idempotent command is dispatched before it is taken for what ends the process.
pub const MAX_DISPATCHES: u32 = 2;

/// Marks a command as done, in the same step as its answer is appended to the log.
#[derive(Clone, Debug)]
pub struct CommandCompletion {
    /// The command.
    pub command: CommandId,
    /// Its content.
    pub fingerprint: CommandFingerprint,
    /// How long the ledger remembers the command from now on; at least a second.
    pub keep: Duration,
    /// The pending-list entry to remove.
    pub pending: Option<PendingPosition>,
}
