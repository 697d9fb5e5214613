use std::borrow::Cow;

use contracts::{ErrorCode, ErrorInfo, ErrorSource};
use tdlib::{CallError, TdError};

use crate::failure::Failure;

/// Why a command has no result.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The contract rejects it.
    Refused(Failure),
    /// TDLib or Telegram rejects it.
    Td(TdError),
    /// TDLib has not answered; the change may still take effect.
    Deadline,
    /// The account was closed meanwhile.
    Closed,
    /// It failed after these fields had been changed.
    Partly(Vec<&'static str>, Box<Self>),
    /// A bug in tdfleet.
    Internal,
}

impl CommandError {
    pub(super) fn refused(error: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(Failure::invalid(error))
    }

    /// TDLib reported success, but a read afterwards shows no change.
    pub(super) fn without_effect(error: &'static str) -> Self {
        Self::Refused(Failure::new(error, ErrorCode::TdlibError, ErrorSource::Tdlib, true))
    }

    /// Whether it failed because the account was closed.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Partly(_, error) => error.is_closed(),
            _ => false,
        }
    }

    /// This error, after `done` had taken effect.
    pub(super) fn after(self, done: &[&'static str]) -> Self {
        Self::Partly(done.to_vec(), Box::new(self))
    }

    /// What the failure means for the caller. What was `dispatched` to TDLib may still take effect;
    /// anything else has changed nothing.
    pub(crate) fn into_failure(self, dispatched: bool) -> Failure {
        match self {
            Self::Refused(failure) => failure,
            Self::Td(error) => tdlib_failure(&error),
            Self::Partly(done, error) => {
                error.into_failure(dispatched).with_detail("updated_fields", done.into())
            }
            Self::Deadline if dispatched => {
                Failure::outcome_unknown("TDLib did not answer in time")
            }
            Self::Closed if dispatched => {
                Failure::outcome_unknown("the account was closed before TDLib answered")
            }
            Self::Deadline => Failure::new(
                "TDLib did not answer in time",
                ErrorCode::Timeout,
                ErrorSource::Transport,
                true,
            ),
            Self::Closed => Failure::new(
                "the account was closed before TDLib answered",
                ErrorCode::NotReady,
                ErrorSource::Ownership,
                true,
            ),
            Self::Internal => Failure::internal(),
        }
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Td(error) => Self::Td(error),
            CallError::Deadline => Self::Deadline,
            CallError::Closed => Self::Closed,
            CallError::Encode { .. } | CallError::Decode { .. } => {
                tracing::error!(error = runtime::error_chain(&error), "a TDLib call failed");
                Self::Internal
            }
        }
    }
}

fn tdlib_failure(error: &TdError) -> Failure {
    let flood = error.code == 429;
    let code = if flood { ErrorCode::FloodWait } else { ErrorCode::TdlibError };
    let info = ErrorInfo {
        tdlib_code: Some(error.code),
        retry_after: error.retry_after.and_then(|wait| u32::try_from(wait.as_secs()).ok()),
        // TDLib asks clients not to display these.
        details: (error.code == 406).then(|| serde_json::json!({"do_not_display": true})),
        ..ErrorInfo::new(code, ErrorSource::Tdlib, flood || error.code >= 500)
    };
    Failure { error: error.message.clone().into(), info: Box::new(info) }
}
