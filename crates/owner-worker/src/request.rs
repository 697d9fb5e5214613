//! From a message to a checked command: the contract's checks that need neither TDLib nor the
//! account's state.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use contracts::{
    AccountId, Command, CommandId, DEFAULT_DEADLINE, ErrorCode, ErrorSource, Flow, Properties,
    RoutingKey, SECRET_DEADLINE, UnreadableCommand, shortened,
};
use jiff::Timestamp;
use log_port::{AccountLog, CommandFingerprint};

use crate::answer::{AnswerTarget, CorrelationIds, PendingAnswer};
use crate::callers::CallerRequest;
use crate::commands::{self, CommandEntry, PreparedCommand};
use crate::failure::Failure;
use crate::in_flight::{CommandKey, InFlightGuard};
use crate::job::{QueuedCommand, Rejection, Work};
use crate::ports::OnOutcome;
use crate::raw_message::RawMessage;
use crate::worker_context::WorkerContext;

/// A message from the command bus.
pub struct WorkerRequest {
    /// The JSON body.
    pub body: Bytes,
    /// The routing key it was published with: it alone says which account the message is for.
    pub key: RoutingKey,
    /// The AMQP properties.
    pub properties: Properties,
    /// Why the bus refuses it; then the body is not parsed.
    pub refusal: Option<UnreadableCommand>,
    /// Whether it may have been delivered before, to this worker or another.
    pub redelivered: bool,
    /// Whether the bus has expired it.
    pub expired: bool,
}

/// Delivery metadata that is not part of the message.
pub(crate) struct DeliveryContext {
    pub(crate) log: Arc<dyn AccountLog>,
    /// The lane it is queued in.
    pub(crate) flow: Flow,
    pub(crate) redelivered: bool,
    pub(crate) expired: bool,
    /// The id that an earlier owner generated for it.
    pub(crate) id: Option<CommandId>,
}

/// A message that has been parsed and checked.
pub(crate) struct CheckedCommand {
    target: AnswerTarget,
    fingerprint: CommandFingerprint,
    deadline: Timestamp,
    redelivered: bool,
    flow: Flow,
    /// Its body holds a secret: it is kept nowhere.
    secret: bool,
    decision: Decision,
}

enum Decision {
    Run(&'static CommandEntry, PreparedCommand),
    Reject(Failure),
}

impl CheckedCommand {
    /// Checks a parsed message, and finds out how its answer is labelled.
    pub(crate) fn check(
        parsed: Result<Command<'_>, UnreadableCommand>,
        message: &RawMessage,
        delivery: DeliveryContext,
        shared: &WorkerContext,
    ) -> Self {
        match parsed {
            Ok(command) => Self::of_command(command, message, delivery, shared),
            Err(unreadable) => Self::of_unreadable(unreadable, message, delivery, shared),
        }
    }

    fn of_command(
        command: Command<'_>,
        message: &RawMessage,
        delivery: DeliveryContext,
        shared: &WorkerContext,
    ) -> Self {
        let received_at = message.received_at;
        let allowed = check_caller(Some(&command.name), message, &delivery, shared);
        let prepared = allowed.and_then(|()| prepare(&command, received_at, &delivery, shared));
        let (name, decision) = match prepared {
            Ok((entry, prepared)) => (entry.name.into(), Decision::Run(entry, prepared)),
            Err(failure) => (event_name(&command.name), Decision::Reject(failure)),
        };
        let fingerprint = shared.fingerprinter.of_command(&command.name, &command.fields);
        let DeliveryContext { log, flow, redelivered, id: earlier_id, .. } = delivery;
        let Command { id, meta, .. } = command;
        let caller = message.properties.caller.clone();
        let (id, correlation) = (id.or(earlier_id), meta.correlation_id);
        let ids = CorrelationIds::or_generated(caller, id, correlation, meta.trace_id);
        let target = AnswerTarget { log, name, ids, dead_letter: None };
        let secret = message.secret;
        let furthest = received_at + shared.config.deadline;
        let latest = if secret { furthest.min(received_at + SECRET_DEADLINE) } else { furthest };
        let deadline = meta.deadline.unwrap_or(received_at + DEFAULT_DEADLINE).min(latest);
        Self { target, fingerprint, deadline, redelivered, flow, secret, decision }
    }

    fn of_unreadable(
        unreadable: UnreadableCommand,
        message: &RawMessage,
        delivery: DeliveryContext,
        shared: &WorkerContext,
    ) -> Self {
        let named = unreadable.name.as_deref();
        let allowed = check_caller(named, message, &delivery, shared);
        let DeliveryContext { log, flow, redelivered, id: earlier_id, .. } = delivery;
        let name = event_name(unreadable.name.as_deref().unwrap_or("command"));
        let correlation_id = message.properties.correlation_id.as_deref().map(Into::into);
        let caller = message.properties.caller.clone();
        let id = unreadable.id.or(earlier_id);
        let ids = CorrelationIds::or_generated(caller, id, correlation_id, None);
        let garbled = unreadable.garbled && allowed.is_ok();
        let dead_letter = garbled.then(|| unreadable.error.clone().into_owned());
        let failure = allowed.err().unwrap_or_else(|| Failure::invalid(unreadable.error));
        Self {
            target: AnswerTarget { log, name, ids, dead_letter },
            fingerprint: shared.fingerprinter.of_bytes(&message.body),
            deadline: message.received_at + DEFAULT_DEADLINE,
            redelivered,
            flow,
            secret: message.secret,
            decision: Decision::Reject(failure),
        }
    }

    pub(crate) fn account(&self) -> AccountId {
        self.target.account()
    }

    pub(crate) fn key(&self) -> CommandKey {
        (self.account(), self.target.ids.command.clone())
    }

    pub(crate) fn fingerprint(&self) -> CommandFingerprint {
        self.fingerprint
    }

    /// Turns a command that is in flight now into the account's work.
    pub(crate) fn into_work(self, guard: InFlightGuard) -> Work {
        let Self { target, deadline, redelivered, flow, secret, decision, .. } = self;
        let answer = PendingAnswer { target, deadline, guard };
        match decision {
            Decision::Run(entry, prepared) => {
                let command = QueuedCommand {
                    entry,
                    prepared,
                    answer,
                    flow,
                    redelivered,
                    secret,
                    reopened: false,
                };
                Work::Run(command)
            }
            Decision::Reject(failure) => Work::Reject(Rejection { answer, failure }),
        }
    }

    /// Answers a message whose id belongs to another command in flight.
    pub(crate) fn reject_conflict(self, shared: &WorkerContext, on_outcome: OnOutcome) {
        self.target.reject_conflict(shared, on_outcome);
    }
}

/// Checks that the caller may send this.
fn check_caller(
    command: Option<&str>,
    message: &RawMessage,
    delivery: &DeliveryContext,
    shared: &WorkerContext,
) -> Result<(), Failure> {
    let request = CallerRequest {
        properties: &message.properties,
        account: delivery.log.token().account,
        command,
        redelivered: delivery.redelivered,
    };
    shared.callers.check(&request, message.received_at)
}

/// The checks, in the contract's order.
fn prepare(
    command: &Command<'_>,
    received_at: Timestamp,
    delivery: &DeliveryContext,
    shared: &WorkerContext,
) -> Result<(&'static CommandEntry, PreparedCommand), Failure> {
    let Some(entry) = commands::find(&command.name) else {
        let error = format!("Unsupported command: {}", shortened(&command.name));
        let (code, source) = (ErrorCode::UnknownCommand, ErrorSource::Validation);
        let failure = Failure::new(error, code, source, false);
        let is_in_type = *event_name(&command.name) == *command.name;
        return Err(if is_in_type {
            failure
        } else {
            failure.with_detail("command", shortened(&command.name).into())
        });
    };
    let prepared = entry.prepare(&command.fields, &shared.config)?;
    let epoch = delivery.log.token().epoch;
    if command.meta.expected_owner_epoch.is_some_and(|expected| expected != epoch.0) {
        let error = format!("the account's owner has epoch {epoch}");
        return Err(Failure::new(error, ErrorCode::NotOwner, ErrorSource::Ownership, true));
    }
    if command.meta.deadline.is_some_and(|at| received_at + shared.config.deadline < at) {
        let hours = shared.config.deadline.as_secs() / 3600;
        return Err(Failure::invalid(format!(
            "_meta.deadline must be at most {hours} hours ahead"
        )));
    }
    if delivery.expired || command.meta.deadline.is_some_and(|deadline| deadline <= received_at) {
        return Err(Failure::expired());
    }
    // Without an id, the ledger cannot recognize it.
    let has_no_id = command.id.is_none() && delivery.id.is_none();
    if has_no_id && delivery.redelivered && !entry.idempotent {
        return Err(Failure::outcome_unknown("it was delivered before"));
    }
    Ok((entry, prepared))
}

/// The command name in an answer's type: the command's own, or `command` if what the caller sent
/// is not a valid name.
pub(crate) fn event_name(name: &str) -> Cow<'static, str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(word) {
        name.to_owned().into()
    } else {
        "command".into()
    }
}
