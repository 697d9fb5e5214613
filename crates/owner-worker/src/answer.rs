//! From what a command came to, to its event.

use std::borrow::Cow;
use std::sync::Arc;

use contracts::{
    Body, Claimant, CommandId, ErrorCode, ErrorInfo, ErrorSource, Event, EventMeta, random_trace_id,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::commands::CommandError;
use crate::ports::{EventSink, OnOutcome, Outcome};

/// Whom an answer goes to, and what it is called.
pub(crate) struct Address {
    pub(crate) claimant: Claimant,
    /// The command's name; the event's type is this, or this with `_error`.
    pub(crate) name: Cow<'static, str>,
    pub(crate) ids: Ids,
}

/// The ids that an answer gives back.
pub(crate) struct Ids {
    pub(crate) command: CommandId,
    correlation: Arc<str>,
    trace: Arc<str>,
}

impl Ids {
    /// Those that were given; the others are made up, so that every answer has all three.
    pub(crate) fn filled(
        command: Option<CommandId>,
        correlation: Option<Arc<str>>,
        trace: Option<Arc<str>>,
    ) -> Self {
        let command = command.unwrap_or_else(CommandId::random);
        Self {
            correlation: correlation.unwrap_or_else(|| command.as_str().into()),
            trace: trace.unwrap_or_else(random_trace_id),
            command,
        }
    }
}

/// A failed command: the contract's error string and the same for programs.
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

    pub(crate) fn expired() -> Self {
        let error = "the deadline passed before the command was run";
        Self::new(error, ErrorCode::Expired, ErrorSource::Transport, false)
    }

    pub(crate) fn internal() -> Self {
        Self::new("internal error", ErrorCode::Internal, ErrorSource::Internal, false)
    }

    pub(crate) fn outcome_unknown(why: &str) -> Self {
        let error = format!("outcome unknown: {why}");
        Self::new(error, ErrorCode::OutcomeUnknown, ErrorSource::Transport, false)
    }

    /// What a failed run means for the publisher: what TDLib has been handed may still take effect,
    /// anything else has changed nothing.
    pub(crate) fn of_run(error: CommandError, handed_over: bool) -> Self {
        match error {
            CommandError::Refused(failure) => failure,
            CommandError::Td(error) => Self::of_tdlib(&error),
            CommandError::Partly(done, error) => {
                Self::of_run(*error, handed_over).with_detail("updated_fields", done.into())
            }
            CommandError::Deadline if handed_over => {
                Self::outcome_unknown("TDLib did not answer in time")
            }
            CommandError::Closed if handed_over => {
                Self::outcome_unknown("the account was closed before TDLib answered")
            }
            CommandError::Deadline => Self::new(
                "TDLib did not answer in time",
                ErrorCode::Timeout,
                ErrorSource::Transport,
                true,
            ),
            CommandError::Closed => Self::new(
                "the account was closed before TDLib answered",
                ErrorCode::NotReady,
                ErrorSource::Ownership,
                true,
            ),
            CommandError::Internal => Self::internal(),
        }
    }

    /// Adds a member to `details`.
    pub(crate) fn with_detail(mut self, name: &str, value: Value) -> Self {
        let details = self.info.details.get_or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(details) = details {
            details.insert(name.to_owned(), value);
        }
        self
    }

    fn of_tdlib(error: &tdlib::TdError) -> Self {
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
        Self { error: error.message.clone().into(), info: Box::new(info) }
    }
}

impl Address {
    /// Puts the answer into the log, and tells the submitter once it is there.
    pub(crate) fn answer(
        self,
        sink: &dyn EventSink,
        at: Timestamp,
        result: Result<Box<str>, Failure>,
        done: OnOutcome,
    ) {
        self.store(sink, at, result, move |event| done(Outcome::Answered(event)));
    }

    /// The same for a message that is kept as a dead letter as well.
    pub(crate) fn answer_dead_letter(
        self,
        sink: &dyn EventSink,
        at: Timestamp,
        failure: Failure,
        done: OnOutcome,
    ) {
        let reason = failure.error.clone().into_owned();
        self.store(sink, at, Err(failure), move |event| {
            done(Outcome::DeadLetter { reason, event: Some(event) });
        });
    }

    fn store(
        self,
        sink: &dyn EventSink,
        at: Timestamp,
        result: Result<Box<str>, Failure>,
        told: impl FnOnce(bytes::Bytes) + Send + 'static,
    ) {
        let (kind, body) = match result {
            Ok(json) => (self.name, Body::Result(json)),
            Err(failure) => {
                (format!("{}_error", self.name).into(), Body::Error(failure.error, failure.info))
            }
        };
        let meta = EventMeta {
            command_id: Some(self.ids.command),
            correlation_id: Some(self.ids.correlation),
            trace_id: Some(self.ids.trace),
            occurred_at: at,
        };
        let event = Event { account: self.claimant.account, kind, body, meta };
        let stored = Box::new(move |stored| match stored {
            Ok(json) => told(json),
            // Whoever owns the account now answers the redelivered command.
            Err(error) => tracing::warn!(%error, "an answer was not stored"),
        });
        sink.append(self.claimant, event, None, Some(stored));
    }
}
