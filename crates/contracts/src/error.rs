//! The machine-readable part of a failed command's answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Kind of a failure, for programs. Append-only: a retired code is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request breaks the command's contract; nothing was attempted.
    InvalidRequest,
    /// There is no command of that name.
    UnknownCommand,
    /// No worker knows the account.
    UnknownAccount,
    /// The account cannot run this command in its current state.
    NotReady,
    /// Too many commands wait for this account.
    Busy,
    /// `expected_owner_epoch` was given and is not the owner's.
    NotOwner,
    /// The deadline passed before the command was run.
    Expired,
    /// The command may or may not have taken effect.
    OutcomeUnknown,
    /// The command was dispatched twice and the process died each time; it is not tried again.
    Poison,
    /// TDLib did not answer in time; nothing was changed.
    Timeout,
    /// Telegram asks to wait `retry_after` seconds.
    FloodWait,
    /// TDLib or Telegram refused; the error string is theirs.
    TdlibError,
    /// The settings forbid it.
    NotAllowed,
    /// An internal error of tdfleet.
    Internal,
}

/// Which part of the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorSource {
    /// The checks before anything is dispatched.
    Validation,
    /// TDLib or Telegram behind it.
    Tdlib,
    /// The bus, the log, or the time a call may take.
    Transport,
    /// The account's owner or state.
    Ownership,
    /// tdfleet itself.
    Internal,
}

/// `error_info` of a failed command's event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// For programs.
    pub code: ErrorCode,
    /// Which part of the system refused.
    pub source: ErrorSource,
    /// Whether the same command may succeed when sent again later.
    pub retriable: bool,
    /// TDLib's error code, such as 400 or 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tdlib_code: Option<i32>,
    /// Seconds to wait before the next attempt, if Telegram gave a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// More data of the command, such as `updated_fields`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl ErrorInfo {
    /// An error without TDLib's code, waiting time or details.
    pub fn new(code: ErrorCode, source: ErrorSource, retriable: bool) -> Self {
        Self { code, source, retriable, tdlib_code: None, retry_after: None, details: None }
    }

    /// The request breaks the contract.
    pub fn invalid_request() -> Self {
        Self::new(ErrorCode::InvalidRequest, ErrorSource::Validation, false)
    }
}
