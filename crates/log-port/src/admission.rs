use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use contracts::LedgerKey;

use crate::pending::PendingPosition;

/// A keyed hash of a command's name and fields: distinguishes two commands with the same id.
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
    pub command: LedgerKey,
    /// The fingerprint of its content.
    pub fingerprint: CommandFingerprint,
    /// Whether to run it, or to answer it without running it.
    pub intent: Intent,
}

/// What an owner intends to do with a command.
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
    /// Go ahead. A command that is to be run counts as dispatched from now on.
    Proceed,
    /// It is answered already, by this event (its JSON); `None` if the log has trimmed it.
    Done(Option<Bytes>),
    /// The id belongs to a command with another fingerprint.
    Conflict,
    /// It was dispatched before, by this owner or an earlier one, and its outcome is unknown; it is
    /// not idempotent, or is not to be run.
    Dispatched,
    /// It was dispatched [`MAX_DISPATCHES`] times and never finished.
    Poison,
}

/// How often an idempotent command is dispatched before it counts as poison: it probably crashes the
/// process.
pub const MAX_DISPATCHES: u32 = 2;

/// Marks a command as done, in the same step as its answer is appended to the log.
#[derive(Clone, Debug)]
pub struct CommandCompletion {
    /// The command.
    pub command: LedgerKey,
    /// The fingerprint of its content.
    pub fingerprint: CommandFingerprint,
    /// How long the ledger remembers the command from now on; at least a second.
    pub keep: Duration,
    /// The pending-list entry to remove.
    pub pending: Option<PendingPosition>,
}
