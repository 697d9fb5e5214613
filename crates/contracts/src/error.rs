//! What a failed command says beside its error string.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Kind of a failure, for programs. Append-only: a retired one is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request breaks the command's contract; it was not tried.
    InvalidRequest,
    /// There is no command of that name.
    UnknownCommand,
    /// No worker knows the account.
    UnknownAccount,
    /// The account cannot run this command in its present state.
    NotReady,
    /// Too many commands wait for this account.
    Busy,
    /// `expected_owner_epoch` was given and is not the owner's.
    NotOwner,
    /// The deadline passed before the command was run.
    Expired,
    /// The command may or may not have taken effect.
    OutcomeUnknown,
    /// The command was handed over twice and ended the process each time; it is not tried again.
    Poison,
    /// TDLib did not answer in time; nothing was changed.
    Timeout,
    /// Telegram asks to wait `retry_after` seconds.
    FloodWait,
    /// TDLib or Telegram refused; the error string is theirs.
    TdlibError,
    /// The settings forbid it.
    NotAllowed,
    /// A fault of tdfleet's own.
    Internal,
}

/// Which part refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorSource {
    /// The checks before anything is sent.
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
    /// Which part refused.
    pub source: ErrorSource,
    /// Whether the same command, sent again later, may succeed.
    pub retriable: bool,
    /// TDLib's error code, such as 400 or 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tdlib_code: Option<i32>,
    /// Seconds to wait before the next try, where Telegram said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// What else the command has to say, such as `updated_fields`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl ErrorInfo {
    /// Without TDLib's code, waiting time or details.
    pub fn new(code: ErrorCode, source: ErrorSource, retriable: bool) -> Self {
        Self { code, source, retriable, tdlib_code: None, retry_after: None, details: None }
    }

    /// The request breaks the contract.
    pub fn invalid_request() -> Self {
        Self::new(ErrorCode::InvalidRequest, ErrorSource::Validation, false)
    }
}
