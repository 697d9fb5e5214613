use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use contracts::{ErrorCode, ErrorInfo, ErrorSource};
use serde_json::{Map, Value};

/// A failed command: the contract's error string, and the same as structured information.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error: Cow<'static, str>,
    pub(crate) info: Box<ErrorInfo>,
}

impl Failure {
    pub(crate) fn new(
        error: impl Into<Cow<'static, str>>,
        code: ErrorCode,
        source: ErrorSource,
        retriable: bool,
    ) -> Self {
        Self { error: error.into(), info: Box::new(ErrorInfo::new(code, source, retriable)) }
    }

    pub(crate) fn invalid(error: impl Into<Cow<'static, str>>) -> Self {
        Self { error: error.into(), info: Box::new(ErrorInfo::invalid_request()) }
    }

    pub(crate) fn id_conflict() -> Self {
        Self::invalid("command_id was used for another command")
    }

    pub(crate) fn expired() -> Self {
        let error = "the deadline passed before the command was run";
        Self::new(error, ErrorCode::Expired, ErrorSource::Transport, false)
    }

    pub(crate) fn internal() -> Self {
        Self::new("internal error", ErrorCode::Internal, ErrorSource::Internal, false)
    }

    pub(crate) fn busy() -> Self {
        let error = "too many commands wait for this account";
        Self::new(error, ErrorCode::Busy, ErrorSource::Ownership, true)
    }

    /// A slow lane keeps its commands on Redis, and never one with a secret.
    pub(crate) fn busy_with_secret() -> Self {
        let error = "the account is slow, and a command with a secret is not kept for it";
        Self::new(error, ErrorCode::Busy, ErrorSource::Ownership, true)
    }

    /// The account's commands are paced; `wait` is how long another one must wait.
    pub(crate) fn paced(wait: Duration) -> Self {
        let error = "the account sends too much to Telegram";
        let mut failure = Self::new(error, ErrorCode::Busy, ErrorSource::Ownership, true);
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        failure.info.retry_after = u32::try_from(seconds).ok();
        failure
    }

    pub(crate) fn poison() -> Self {
        let error = "the command ended the process twice and is not tried again";
        Self::new(error, ErrorCode::Poison, ErrorSource::Internal, false)
    }

    pub(crate) fn not_owned(why: &impl Display) -> Self {
        let error = format!("account is not ready: {why}");
        Self::new(error, ErrorCode::NotReady, ErrorSource::Ownership, true)
    }

    pub(crate) fn outcome_unknown(why: &str) -> Self {
        let error = format!("outcome unknown: {why}");
        Self::new(error, ErrorCode::OutcomeUnknown, ErrorSource::Transport, false)
    }

    /// Adds a member to `details`.
    pub(crate) fn with_detail(mut self, name: &str, value: Value) -> Self {
        let details = self.info.details.get_or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(details) = details {
            details.insert(name.to_owned(), value);
        }
        self
    }
}
