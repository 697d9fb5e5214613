//! What a test does with a log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::{AccountId, Body, CommandId, Epoch, Event, EventId, EventMeta, Flow, Properties};
use log_port::{
    AccountLog, Admission, AdmissionVerdict, CommandCompletion, CommandFingerprint, Intent,
    LogHead, LogPort, NotStored, OwnerToken, PendingCommand, PendingPosition,
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// The longest wait for anything.
pub const SOON: Duration = Duration::from_secs(20);

/// To run a command that is not idempotent.
pub const ONCE: Intent = Intent::Run { idempotent: false };
/// To run an idempotent command.
pub const AGAIN: Intent = Intent::Run { idempotent: true };
/// To answer a command without running it.
pub(crate) const REFUSE: Intent = Intent::Refuse;

/// An account.
pub fn account(id: i64) -> AccountId {
    AccountId::new(id).unwrap()
}

/// The owner of an account that a worker runs.
pub fn owner(account: AccountId, epoch: u64) -> OwnerToken {
    OwnerToken { account, epoch: Epoch(epoch), served: true }
}

/// An event's id, such as `7-1`.
pub fn id(text: &str) -> EventId {
    text.parse().unwrap()
}

/// An event whose body is `number`.
pub fn event(account: AccountId, number: usize) -> Event {
    Event {
        account,
        kind: "test".into(),
        body: Body::Result(number.to_string().into()),
        meta: EventMeta::at(jiff::Timestamp::UNIX_EPOCH),
    }
}

/// A stored event's id, and the id of the one before it.
pub(crate) fn event_ids(json: &Bytes) -> (EventId, Option<EventId>) {
    let event: Value = serde_json::from_slice(json).unwrap();
    let meta = &event["payload"]["_meta"];
    (id(meta["event_id"].as_str().unwrap()), meta["prev"].as_str().map(id))
}

/// What [`event`] was given.
pub fn event_number(json: &Bytes) -> usize {
    let event: Value = serde_json::from_slice(json).unwrap();
    event["payload"]["result"].as_u64().unwrap().try_into().unwrap()
}

/// Claims an account.
pub async fn claim(log: &dyn LogPort, token: OwnerToken) -> (Arc<dyn AccountLog>, LogHead) {
    timeout(SOON, log.claim(token)).await.expect("a claim in time").unwrap()
}

/// Claims an account, for its head.
pub async fn claim_head(log: &dyn LogPort, token: OwnerToken) -> LogHead {
    claim(log, token).await.1
}

/// Claims an account, to write its log.
pub(crate) async fn claim_log(log: &dyn LogPort, token: OwnerToken) -> Arc<dyn AccountLog> {
    claim(log, token).await.0
}

/// Appends event `number`, and waits for the outcome.
pub async fn store(log: &dyn AccountLog, number: usize) -> Result<Bytes, NotStored> {
    append(log, number, None).await
}

/// Answers a command by event `number`, and waits for the outcome.
pub async fn answer(
    log: &dyn AccountLog,
    number: usize,
    completion: CommandCompletion,
) -> Result<Bytes, NotStored> {
    append(log, number, Some(completion)).await
}

async fn append(
    log: &dyn AccountLog,
    number: usize,
    completion: Option<CommandCompletion>,
) -> Result<Bytes, NotStored> {
    let (sender, outcome) = oneshot::channel();
    let on_stored = Box::new(move |stored| sender.send(stored).unwrap());
    log.append(event(log.token().account, number), completion, Some(on_stored));
    timeout(SOON, outcome).await.expect("an outcome in time").unwrap()
}

/// Appends events `numbers` at once; the outcomes come in the order in which they are known.
pub fn append_all(
    log: &dyn AccountLog,
    numbers: impl IntoIterator<Item = usize>,
) -> mpsc::UnboundedReceiver<Result<Bytes, NotStored>> {
    let (sender, outcomes) = mpsc::unbounded_channel();
    for number in numbers {
        let sender = sender.clone();
        let on_stored = Box::new(move |stored| {
            // The test may have seen enough.
            sender.send(stored).ok();
        });
        log.append(event(log.token().account, number), None, Some(on_stored));
    }
    outcomes
}

/// All outcomes.
pub async fn all<T>(mut outcomes: mpsc::UnboundedReceiver<T>) -> Vec<T> {
    let mut all = Vec::new();
    let gather = async {
        while let Some(outcome) = outcomes.recv().await {
            all.push(outcome);
        }
    };
    timeout(SOON, gather).await.expect("all outcomes in time");
    all
}

/// A command's id.
pub fn command(id: &str) -> CommandId {
    CommandId::new(id).unwrap()
}

/// A question to the ledger.
pub fn admission(id: &str, fingerprint: u64, intent: Intent) -> Admission {
    Admission { command: command(id), fingerprint: CommandFingerprint(fingerprint), intent }
}

/// Asks to admit a command whose content is `id`'s only one.
pub async fn admit(
    log: &dyn AccountLog,
    id: &str,
    intent: Intent,
) -> Result<AdmissionVerdict, NotStored> {
    timeout(SOON, log.admit(admission(id, 1, intent))).await.expect("a verdict in time")
}

/// Asks to admit a command once for each intent.
pub(crate) async fn admit_each(
    log: &dyn AccountLog,
    id: &str,
    intents: &[Intent],
) -> Vec<AdmissionVerdict> {
    let mut verdicts = Vec::new();
    for intent in intents {
        verdicts.push(admit(log, id, *intent).await.unwrap());
    }
    verdicts
}

/// Completes a command that [`admit`] asked for; remembered for ten minutes.
pub fn completion(id: &str, pending: Option<PendingPosition>) -> CommandCompletion {
    let keep = Duration::from_mins(10);
    CommandCompletion { command: command(id), fingerprint: CommandFingerprint(1), keep, pending }
}

/// A position in a pending list.
pub fn position(flow: Flow, at: &str) -> PendingPosition {
    PendingPosition { flow, id: id(at) }
}

/// A pending command with every property.
pub fn pending(id: &str, position: PendingPosition) -> PendingCommand {
    let some = |name: &str| Some(format!("{name} of {id}"));
    PendingCommand {
        position,
        command: command(id),
        body: Bytes::from(format!("body of {id}")),
        routing_key: format!("key of {id}"),
        properties: Properties {
            message_id: some("message"),
            correlation_id: some("correlation"),
            reply_to: some("reply"),
            traceparent: some("trace"),
        },
    }
}

/// Pushes commands to their pending lists, and waits for the outcome.
pub async fn push(log: &dyn AccountLog, commands: Vec<PendingCommand>) -> Result<(), NotStored> {
    let (sender, outcome) = oneshot::channel();
    log.push_pending(commands, Box::new(move |pending| sender.send(pending).unwrap()));
    timeout(SOON, outcome).await.expect("an outcome in time").unwrap()
}

/// The ids of the pending commands.
pub fn command_ids(head: &LogHead) -> Vec<&str> {
    head.pending.iter().map(|pending| pending.command.as_str()).collect()
}
