//! From what a command came to, to its event.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::{
    AccountId, Body, CommandId, ErrorCode, ErrorInfo, ErrorSource, Event, EventMeta,
    random_trace_id,
};
use jiff::Timestamp;
use log_port::{AccountLog, Admission, AdmissionVerdict, CommandCompletion, Intent};
use serde_json::{Map, Value};
use tracing::debug;

use crate::copies::Ticket;
use crate::ports::Outcome;
use crate::worker::Shared;

/// How long an answer is remembered beyond its command's deadline.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Whom an answer goes to, and what it is called.
pub(crate) struct Address {
    /// The account's log.
    pub(crate) log: Arc<dyn AccountLog>,
    /// The command's name; the event's type is this, or this with `_error`.
    pub(crate) name: Cow<'static, str>,
    pub(crate) ids: Ids,
    /// Why the message is kept as a dead letter as well, if it is.
    pub(crate) garbled: Option<String>,
}

/// A command that waits for its answer.
pub(crate) struct Case {
    pub(crate) address: Address,
    /// Past it the command is not run any more.
    pub(crate) deadline: Timestamp,
    pub(crate) ticket: Ticket,
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

    pub(crate) fn busy() -> Self {
        let error = "too many commands wait for this account";
        Self::new(error, ErrorCode::Busy, ErrorSource::Ownership, true)
    }

    pub(crate) fn poison() -> Self {
        let error = "the command ended the process twice and is not tried again";
        Self::new(error, ErrorCode::Poison, ErrorSource::Internal, false)
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

impl Case {
    /// Asks the ledger. The case comes back if it is new there: it is to be run, or answered as it
    /// was going to be. Otherwise it has been answered by what the ledger knows, or dropped.
    pub(crate) async fn admit(self, shared: &Shared, intent: Intent) -> Option<Self> {
        let (command, fingerprint) = (self.ticket.command().clone(), self.ticket.fingerprint());
        let begin = Admission { command, fingerprint, intent };
        match self.address.log.admit(begin).await {
            Ok(AdmissionVerdict::Proceed) => return Some(self),
            Ok(AdmissionVerdict::Done(event)) => self.repeat(event),
            Ok(AdmissionVerdict::Conflict) => self.conflict(shared),
            Ok(AdmissionVerdict::Dispatched) => {
                let why = "it was handed to TDLib before, and what became of it is not known";
                self.answer(shared, Err(Failure::outcome_unknown(why)));
            }
            Ok(AdmissionVerdict::Poison) => self.answer(shared, Err(Failure::poison())),
            Err(error) => debug!(%error, "command left to redelivery"),
        }
        None
    }

    /// Puts the answer into the log and settles the command with it; once it is there, all who wait
    /// are told.
    pub(crate) fn answer(self, shared: &Shared, result: Result<Box<str>, Failure>) {
        let Self { address, deadline, ticket } = self;
        let left = deadline.duration_since(shared.clock.now()).try_into();
        let completion = CommandCompletion {
            command: ticket.command().clone(),
            fingerprint: ticket.fingerprint(),
            keep: left.unwrap_or(Duration::ZERO).saturating_add(REMEMBERED),
            pending: ticket.answering(),
        };
        address.store(shared, result, Some(completion), |outcome| ticket.tell(outcome));
    }

    /// Takes the hand-over back and drops the case: it is left to redelivery.
    pub(crate) fn leave(self) {
        self.address.log.undo_dispatch(self.ticket.command().clone());
    }

    /// Answers that the time is over, when the ledger counts the command as handed over already.
    pub(crate) fn expire(self, shared: &Shared) {
        self.address.log.undo_dispatch(self.ticket.command().clone());
        self.answer(shared, Err(Failure::expired()));
    }

    fn repeat(self, event: Option<Bytes>) {
        if let Some(place) = self.ticket.answering() {
            self.address.log.remove_pending(place);
        }
        self.ticket.tell(outcome(self.address.garbled, event));
    }

    fn conflict(self, shared: &Shared) {
        let Self { address, ticket, .. } = self;
        let (log, place) = (Arc::clone(&address.log), ticket.answering());
        address.conflict(shared, |outcome| ticket.tell(outcome));
        if let Some(place) = place {
            log.remove_pending(place);
        }
    }
}

impl Address {
    pub(crate) fn account(&self) -> AccountId {
        self.log.token().account
    }

    /// Answers a message whose id is another command's; the ledger stays as it is.
    pub(crate) fn conflict(self, shared: &Shared, told: impl FnOnce(Outcome) + Send + 'static) {
        let failure = Failure::invalid("command_id was used for another command");
        self.store(shared, Err(failure), None, told);
    }

    fn store(
        self,
        shared: &Shared,
        result: Result<Box<str>, Failure>,
        completion: Option<CommandCompletion>,
        told: impl FnOnce(Outcome) + Send + 'static,
    ) {
        let account = self.account();
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
            occurred_at: shared.clock.now(),
        };
        let event = Event { account, kind, body, meta };
        let garbled = self.garbled;
        let stored = Box::new(move |stored| match stored {
            Ok(json) => told(outcome(garbled, Some(json))),
            // Whoever owns the account now answers the redelivered command.
            Err(error) => tracing::warn!(%error, "an answer was not stored"),
        });
        self.log.append(event, completion, Some(stored));
    }
}

/// What an answer in the log means for the message.
fn outcome(garbled: Option<String>, event: Option<Bytes>) -> Outcome {
    match (garbled, event) {
        (Some(reason), event) => Outcome::DeadLetter { reason, event },
        (None, Some(event)) => Outcome::Answered(event),
        (None, None) => Outcome::AnsweredBefore,
    }
}
