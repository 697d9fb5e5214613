//! Requests as calls of the scripts; `head.lua`, `append.lua` and `ledger.lua` describe the
//! arguments.

use contracts::{AccountId, EventId, Flow, LedgerKey, Names};
use deadpool_redis::redis::{Cmd, cmd};
use log_port::{HeadField, Intent, MAX_DISPATCHES, PendingCommand};
use settings::PublisherSettings;

use crate::redis::script::{ScriptHashes, StoreScript};
use crate::redis::seal::LogSeal;
use crate::store::{AdmissionRequest, EventBatch, StoreOperation, StoreRequest};

/// The flows of the pending lists, in the order of their keys.
pub(super) const PENDING_FLOWS: [Flow; 2] = Flow::ALL;

pub(super) struct ScriptEncoder {
    pub names: Names,
    pub settings: PublisherSettings,
    pub seal: LogSeal,
}

impl ScriptEncoder {
    pub(super) fn command(&self, hashes: &ScriptHashes, request: &StoreRequest) -> Cmd {
        let script = StoreScript::of(&request.operation);
        let keys = self.keys(script, request);
        let mut command = cmd("EVALSHA");
        command.arg(hashes.of(script)).arg(keys.len()).arg(keys);
        let expiry = self.expiry(request);
        let code = self.seal.epoch(request.account, request.epoch);
        command.arg(operation_word(&request.operation)).arg(format!("{}:{code}", request.epoch));
        command.arg(expiry).arg(optional_id(request.last));
        match &request.operation {
            StoreOperation::Claim { pending } => {
                command.arg(i32::from(*pending));
            }
            StoreOperation::Append(batch) | StoreOperation::Restore(batch) => {
                self.add_batch(&mut command, request, batch);
            }
            StoreOperation::Admit(requests) => add_admissions(&mut command, requests),
            StoreOperation::UndoDispatch(dispatches) => {
                for (_, token) in dispatches {
                    command.arg(token.to_string());
                }
            }
            StoreOperation::PushPending(commands) => {
                let commands = commands.iter().flat_map(|all| all.iter());
                commands.for_each(|one| {
                    let code = self.seal.pending(request.account, one);
                    add_pending(&mut command, one, code);
                });
            }
            StoreOperation::RemovePending(positions) => positions.iter().for_each(|position| {
                command.arg(pending_key_number(position.flow)).arg(position.id.to_string());
            }),
            StoreOperation::Quarantine(entries) => entries.iter().for_each(|(flow, id)| {
                command.arg(pending_key_number(*flow)).arg(id);
            }),
            StoreOperation::RepairHead { epoch, code } => {
                command.arg(epoch).arg(code);
            }
            StoreOperation::SetHead(fields) => {
                for field in fields {
                    self.add_head_field(&mut command, request, *field);
                }
            }
        }
        command
    }

    fn keys(&self, script: StoreScript, request: &StoreRequest) -> Vec<String> {
        let (names, account) = (&self.names, request.account);
        let mut keys = vec![names.head_key(account), names.log_key(account)];
        match script {
            StoreScript::Append => keys.push(names.live_channel(account)),
            StoreScript::Ledger => {
                keys.extend(PENDING_FLOWS.map(|flow| names.pending_key(account, flow)));
                keys.push(names.quarantine_key(account));
            }
        }
        let ledger = |command: &LedgerKey| names.ledger_key(account, command);
        match &request.operation {
            StoreOperation::Claim { .. }
            | StoreOperation::RemovePending(_)
            | StoreOperation::Quarantine(_)
            | StoreOperation::RepairHead { .. }
            | StoreOperation::SetHead(_) => {}
            StoreOperation::Append(batch) | StoreOperation::Restore(batch) => {
                self.add_completion_keys(&mut keys, account, batch);
                if 0 < self.settings.audit_entries {
                    keys.push(names.audit_key());
                }
            }
            StoreOperation::Admit(requests) => {
                keys.extend(requests.iter().map(|request| ledger(&request.admission.command)));
            }
            StoreOperation::UndoDispatch(dispatches) => {
                keys.extend(dispatches.iter().map(|(command, _)| ledger(command)));
            }
            StoreOperation::PushPending(commands) => {
                let commands = commands.iter().flat_map(|all| all.iter());
                keys.extend(commands.map(|one| ledger(&one.key())));
            }
        }
        keys
    }

    fn add_completion_keys(&self, keys: &mut Vec<String>, account: AccountId, batch: &EventBatch) {
        for completion in batch.entries.iter().filter_map(|entry| entry.completion.as_ref()) {
            keys.push(self.names.ledger_key(account, &completion.command));
            let pending = completion.pending;
            keys.extend(pending.map(|position| self.names.pending_key(account, position.flow)));
        }
    }

    /// Adds a field of the head and its code.
    fn add_head_field(&self, command: &mut Cmd, request: &StoreRequest, field: HeadField) {
        let (name, value) = match field {
            HeadField::Opened => ("opened", request.epoch.0.to_string()),
            HeadField::LoggedIn(logged_in) => ("logged_in", u8::from(logged_in).to_string()),
        };
        let code = self.seal.field(request.account, name, &value);
        command.arg(name).arg(value).arg(format!("{name}_mac")).arg(code);
    }

    fn expiry(&self, request: &StoreRequest) -> u64 {
        let settings = &self.settings;
        if request.served { settings.idle_expiry_s } else { settings.unknown_expiry_s }
    }

    fn add_batch(&self, command: &mut Cmd, request: &StoreRequest, batch: &EventBatch) {
        let drop_before = batch.drop_before.map(|time| time.to_string()).unwrap_or_default();
        command
            .arg(format!("{:x}", batch.digest))
            .arg(self.settings.max_events)
            .arg(self.expiry(request).min(self.settings.max_age_s))
            .arg(drop_before)
            .arg(batch.entries.len())
            .arg(self.settings.audit_entries);
        for entry in &batch.entries {
            command.arg(entry.event.id.to_string()).arg(&entry.event.json[..]).arg(entry.at);
            command.arg(entry.audit.as_deref().unwrap_or_default());
        }
        for entry in &batch.entries {
            let Some(completion) = &entry.completion else { continue };
            command
                .arg(format!("d {} {}", completion.fingerprint, entry.event.id))
                .arg(u64::try_from(completion.keep.as_millis()).unwrap_or(u64::MAX))
                .arg(optional_id(completion.pending.map(|position| position.id)));
        }
    }
}

fn operation_word(operation: &StoreOperation) -> &'static str {
    match operation {
        StoreOperation::Claim { .. } => "claim",
        StoreOperation::Append(_) => "append",
        StoreOperation::Restore(_) => "restore",
        StoreOperation::Admit(_) => "begin",
        StoreOperation::UndoDispatch(_) => "leave",
        StoreOperation::PushPending(_) => "park",
        StoreOperation::RemovePending(_) => "unpark",
        StoreOperation::Quarantine(_) => "quarantine",
        StoreOperation::RepairHead { .. } => "repair",
        StoreOperation::SetHead(_) => "note",
    }
}

/// The index of a pending list's key among the ledger script's keys.
fn pending_key_number(flow: Flow) -> u8 {
    match flow {
        Flow::Hi => 3,
        Flow::Lo => 4,
    }
}

fn add_admissions(command: &mut Cmd, requests: &[AdmissionRequest]) {
    command.arg(MAX_DISPATCHES);
    for AdmissionRequest { admission, token } in requests {
        let intent = match admission.intent {
            Intent::Run { idempotent: true } => "again",
            Intent::Run { idempotent: false } => "once",
            Intent::Refuse => "refuse",
        };
        command.arg(admission.fingerprint.to_string()).arg(token.to_string()).arg(intent);
    }
}

/// Adds an entry of a pending list, with its code; `decode` reads its fields.
fn add_pending(command: &mut Cmd, pending: &PendingCommand, code: String) {
    let properties = &pending.properties;
    let optional = [
        ("m", &properties.message_id),
        ("c", &properties.correlation_id),
        ("r", &properties.reply_to),
        ("t", &properties.traceparent),
    ];
    let caller = properties.caller.as_ref().map(|caller| ("u", caller.as_str()));
    let optional = optional.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let optional = optional.chain(caller);
    let words = 8 + 2 * optional.clone().count();
    command.arg(pending_key_number(pending.position.flow));
    command.arg(pending.position.id.to_string()).arg(words);
    command.arg("i").arg(pending.command.as_str()).arg("k").arg(&pending.routing_key);
    command.arg("b").arg(&pending.body[..]).arg("s").arg(code);
    for (name, value) in optional {
        command.arg(name).arg(value);
    }
}

/// Empty for `None`.
fn optional_id(id: Option<EventId>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
