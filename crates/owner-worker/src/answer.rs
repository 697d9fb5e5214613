//! A command's answer: admission by the ledger first, then the event in the log that completes the
//! command.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::{
    AccountId, Body, CallerName, CommandId, Event, EventMeta, LedgerKey, random_trace_id,
};
use jiff::Timestamp;
use log_port::{AccountLog, Admission, AdmissionVerdict, CommandCompletion, Intent, NotStored};
use tracing::debug;

use crate::failure::Failure;
use crate::in_flight::InFlightGuard;
use crate::ports::CommandOutcome;
use crate::worker_context::WorkerContext;

/// How long the ledger remembers an answered command beyond its deadline.
const KEEP_AFTER_DEADLINE: Duration = Duration::from_mins(10);

/// A command that is not answered yet.
pub(crate) struct PendingAnswer {
    pub(crate) target: AnswerTarget,
    /// The command is not run after this time.
    pub(crate) deadline: Timestamp,
    pub(crate) guard: InFlightGuard,
}

/// Where an answer goes, and how it is labelled.
pub(crate) struct AnswerTarget {
    /// The account's log.
    pub(crate) log: Arc<dyn AccountLog>,
    /// The command's name; the event's type is this name, with `_error` appended on failure.
    pub(crate) name: Cow<'static, str>,
    pub(crate) ids: CorrelationIds,
    /// Why the message is dead-lettered as well, if it is.
    pub(crate) dead_letter: Option<String>,
}

/// The ids that an answer echoes.
pub(crate) struct CorrelationIds {
    pub(crate) command: LedgerKey,
    correlation: Arc<str>,
    trace: Arc<str>,
}

impl CorrelationIds {
    /// Generates the ids that were not given, so that every answer has all three.
    pub(crate) fn or_generated(
        caller: Option<CallerName>,
        command: Option<CommandId>,
        correlation: Option<Arc<str>>,
        trace: Option<Arc<str>>,
    ) -> Self {
        let command = command.unwrap_or_else(CommandId::random);
        Self {
            correlation: correlation.unwrap_or_else(|| command.as_str().into()),
            trace: trace.unwrap_or_else(random_trace_id),
            command: LedgerKey { caller, command },
        }
    }
}

impl PendingAnswer {
    /// Asks the ledger whether the command may be run, or answered as intended. If so, `self` is
    /// returned; otherwise the command has been answered from the ledger, or dropped.
    pub(crate) async fn admit(self, shared: &WorkerContext, intent: Intent) -> Option<Self> {
        let (command, fingerprint) = (self.guard.command().clone(), self.guard.fingerprint());
        let admission = Admission { command, fingerprint, intent };
        match self.target.log.admit(admission).await {
            Ok(AdmissionVerdict::Proceed) => return Some(self),
            Ok(AdmissionVerdict::Done(event)) => self.repeat(event),
            Ok(AdmissionVerdict::Conflict) => self.reject_conflict(shared),
            Ok(AdmissionVerdict::Dispatched) => {
                let why = "it was handed to TDLib before, and what became of it is not known";
                self.complete(shared, Err(Failure::outcome_unknown(why)));
            }
            Ok(AdmissionVerdict::Poison) => self.complete(shared, Err(Failure::poison())),
            Err(error @ NotStored::Fenced { .. }) => self.guard.resolve_not_owned(&error),
            Err(error @ NotStored::Closed) => debug!(%error, "command left to redelivery"),
        }
        None
    }

    /// Appends the answer to the log, which completes the command in the same step. Everyone who
    /// waits for the command gets its outcome once the answer is stored.
    pub(crate) fn complete(self, shared: &WorkerContext, result: Result<Box<str>, Failure>) {
        let Self { target, deadline, guard } = self;
        let left = deadline.duration_since(shared.clock.now()).try_into();
        let completion = CommandCompletion {
            command: guard.command().clone(),
            fingerprint: guard.fingerprint(),
            keep: left.unwrap_or(Duration::ZERO).saturating_add(KEEP_AFTER_DEADLINE),
            pending: guard.begin_answer(),
        };
        target.append(shared, result, Some(completion), |outcome| match outcome {
            Ok(outcome) => guard.resolve(outcome),
            Err(error) => guard.resolve_not_owned(&error),
        });
    }

    /// Takes the dispatch back and leaves the command to redelivery.
    pub(crate) fn undo_dispatch(self) {
        self.target.log.undo_dispatch(self.guard.command().clone());
    }

    /// Answers that the deadline has passed, after the ledger has recorded a dispatch.
    pub(crate) fn expire_dispatched(self, shared: &WorkerContext) {
        self.target.log.undo_dispatch(self.guard.command().clone());
        self.complete(shared, Err(Failure::expired()));
    }

    /// Repeats the answer of an earlier delivery; `None` if the log has trimmed it.
    fn repeat(self, event: Option<Bytes>) {
        if let Some(position) = self.guard.begin_answer() {
            self.target.log.remove_pending(position);
        }
        self.guard.resolve(outcome(self.target.dead_letter, event));
    }

    fn reject_conflict(self, shared: &WorkerContext) {
        let Self { target, guard, .. } = self;
        let (log, position) = (Arc::clone(&target.log), guard.begin_answer());
        target.append(shared, Err(Failure::id_conflict()), None, |outcome| match outcome {
            Ok(outcome) => guard.resolve(outcome),
            Err(error) => guard.resolve_not_owned(&error),
        });
        if let Some(position) = position {
            log.remove_pending(position);
        }
    }
}

impl AnswerTarget {
    pub(crate) fn account(&self) -> AccountId {
        self.log.token().account
    }

    /// Answers a message whose id belongs to another command; the ledger does not change.
    pub(crate) fn reject_conflict(
        self,
        shared: &WorkerContext,
        on_outcome: impl FnOnce(CommandOutcome) + Send + 'static,
    ) {
        self.append(shared, Err(Failure::id_conflict()), None, |outcome| {
            on_outcome(outcome.unwrap_or_else(|error| CommandOutcome::NotOwned {
                reason: error.to_string(),
                event: None,
            }));
        });
    }

    fn append(
        self,
        shared: &WorkerContext,
        result: Result<Box<str>, Failure>,
        completion: Option<CommandCompletion>,
        on_outcome: impl FnOnce(Result<CommandOutcome, NotStored>) + Send + 'static,
    ) {
        let account = self.account();
        let (kind, body) = match result {
            Ok(json) => (self.name, Body::Result(json)),
            Err(failure) => {
                (format!("{}_error", self.name).into(), Body::Error(failure.error, failure.info))
            }
        };
        let meta = EventMeta {
            command_id: Some(self.ids.command.command),
            correlation_id: Some(self.ids.correlation),
            trace_id: Some(self.ids.trace),
            requested_by: self.ids.command.caller,
            occurred_at: shared.clock.now(),
        };
        let event = Event { account, kind, body, meta };
        let dead_letter = self.dead_letter;
        let on_stored = Box::new(move |stored| match stored {
            Ok(json) => on_outcome(Ok(outcome(dead_letter, Some(json)))),
            Err(error) => {
                tracing::warn!(account.id = %account, %error, "an answer was not stored");
                // What is left when the log is shut down is redelivered.
                if let NotStored::Fenced { .. } = error {
                    on_outcome(Err(error));
                }
            }
        });
        self.log.append(event, completion, Some(on_stored));
    }
}

/// The outcome of a command whose answer is in the log.
fn outcome(dead_letter: Option<String>, event: Option<Bytes>) -> CommandOutcome {
    match (dead_letter, event) {
        (Some(reason), event) => CommandOutcome::DeadLetter { reason, event },
        (None, Some(event)) => CommandOutcome::Answered(event),
        (None, None) => CommandOutcome::AnsweredBefore,
    }
}
