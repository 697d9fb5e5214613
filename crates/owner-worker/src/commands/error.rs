use std::borrow::Cow;

use contracts::{ErrorCode, ErrorInfo, ErrorSource};
use tdlib::{CallError, TdError};

use crate::failure::Failure;

/// Why a command has no result.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The contract refuses it.
    Refused(Failure),
    /// TDLib refuses it.
    Td(TdError),
    /// TDLib has not answered; it may still do it.
    Deadline,
    /// The account was closed meanwhile.
    Closed,
    /// It failed when these fields had been changed already.
    Partly(Vec<&'static str>, Box<Self>),
    /// A fault of ours.
    Internal,
}

impl CommandError {
    pub(super) fn refused(error: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(Failure::invalid(error))
    }

    /// TDLib said that it was done, and what it shows says that it was not.
    pub(super) fn without_effect(error: &'static str) -> Self {
        Self::Refused(Failure::new(error, ErrorCode::TdlibError, ErrorSource::Tdlib, true))
    }

    /// Whether it failed for the account's being closed.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Partly(_, error) => error.is_closed(),
            _ => false,
        }
    }

    /// What it means for the caller. `dispatched` says whether TDLib has been asked to change
    /// something, which may still take effect.
    pub(crate) fn into_failure(self, dispatched: bool) -> Failure {
        match self {
            Self::Refused(failure) => failure,
            Self::Td(error) => of_tdlib(&error),
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

    /// The failure after `done` had taken effect.
    pub(super) fn after(self, done: &[&'static str]) -> Self {
        Self::Partly(done.to_vec(), Box::new(self))
    }
}

fn of_tdlib(error: &TdError) -> Failure {
    let flood = error.code == 429;
    let code = if flood { ErrorCode::FloodWait } else { ErrorCode::TdlibError };
    let retry_after = error.retry_after.and_then(|wait| u32::try_from(wait.as_secs()).ok());
    let info = ErrorInfo {
        tdlib_code: Some(error.code),
        retry_after,
        // TDLib asks not to show these to a person.
        details: (error.code == 406).then(|| serde_json::json!({"do_not_display": true})),
        ..ErrorInfo::new(code, ErrorSource::Tdlib, flood || error.code >= 500)
    };
    Failure { error: error.message.clone().into(), info: Box::new(info) }
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
