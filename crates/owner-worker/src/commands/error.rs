use std::borrow::Cow;

use contracts::{ErrorCode, ErrorSource};
use tdlib::{CallError, TdError};

use crate::answer::Failure;

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

    /// The failure after `done` had taken effect.
    pub(super) fn after(self, done: &[&'static str]) -> Self {
        Self::Partly(done.to_vec(), Box::new(self))
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
