//! One account in memory: its head, log, ledger and pending lists, under the rules of the scripts.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use contracts::{Epoch, EventId, Flow, LedgerKey};
use log_port::{
    AdmissionVerdict, CommandCompletion, CommandFingerprint, HeadField, Intent, LogHead,
    MAX_DISPATCHES, PendingCommand, PendingPosition,
};
use tokio::time::Instant;

use crate::store::{
    AdmissionRequest, DispatchToken, EventBatch, StoreOperation, StoreRequest, StoreResponse,
};
use crate::stored::StoredEvent;

pub(super) struct MemoryAccount {
    epoch: Epoch,
    pub(super) last: Option<EventId>,
    /// Of the last batch.
    digest: u64,
    opened: Option<Epoch>,
    logged_in: bool,
    /// With the time of each, as Unix time in milliseconds.
    pub(super) events: VecDeque<(StoredEvent, i64)>,
    ledger: HashMap<LedgerKey, LedgerEntry>,
    pending: [PendingList; 2],
    expires: Instant,
    log_expires: Instant,
}

/// How long an account's data is kept after a request.
pub(super) struct KeyExpiry {
    /// All of the account.
    pub account: Duration,
    /// The log, after its last event.
    pub log: Duration,
}

enum LedgerEntry {
    Dispatched { fingerprint: CommandFingerprint, count: u32, token: Option<DispatchToken> },
    Done { fingerprint: CommandFingerprint, event: EventId, expires: Instant },
}

/// A pending list, and the last position that it ever had.
#[derive(Default)]
struct PendingList {
    entries: BTreeMap<EventId, PendingCommand>,
    end: Option<EventId>,
}

impl MemoryAccount {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            last: None,
            digest: 0,
            opened: None,
            logged_in: false,
            events: VecDeque::new(),
            ledger: HashMap::new(),
            pending: Default::default(),
            expires: Instant::now(),
            log_expires: Instant::now(),
        }
    }

    /// Removes what has expired; `false` when that is all of it.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        self.ledger.retain(|_, entry| !entry.is_expired(now));
        if self.log_expires <= now {
            self.events.clear();
        }
        now < self.expires
    }

    /// Applies a request, unless its epoch is older or events are missing. `publish` returns whether
    /// the event had a live receiver.
    pub(super) fn apply(
        &mut self,
        request: &StoreRequest,
        expiry: &KeyExpiry,
        publish: impl Fn(&StoredEvent) -> bool,
    ) -> StoreResponse {
        let operation = &request.operation;
        if self.epoch > request.epoch {
            return StoreResponse::Fenced { current: self.epoch };
        }
        let anywhere =
            matches!(operation, StoreOperation::Claim { .. } | StoreOperation::Restore(_));
        if !anywhere && self.last != request.last {
            return self.mismatch(operation);
        }
        self.epoch = request.epoch;
        let now = Instant::now();
        self.expires = self.expires.max(now + expiry.account);
        if matches!(operation, StoreOperation::Append(_) | StoreOperation::Restore(_)) {
            self.log_expires = self.log_expires.max(now + expiry.log);
        }
        self.apply_operation(request, publish)
    }

    fn apply_operation(
        &mut self,
        request: &StoreRequest,
        publish: impl Fn(&StoredEvent) -> bool,
    ) -> StoreResponse {
        match &request.operation {
            StoreOperation::Claim { pending } => {
                return StoreResponse::Claimed(Box::new(self.head(*pending)));
            }
            StoreOperation::Append(batch) => return self.store(batch, publish),
            StoreOperation::Restore(batch) => {
                self.last = self.last.max(request.last);
                return self.store(batch, publish);
            }
            StoreOperation::Admit(requests) => {
                return StoreResponse::Admitted(
                    requests.iter().map(|one| self.admit(one)).collect(),
                );
            }
            StoreOperation::UndoDispatch(dispatches) => {
                for (command, token) in dispatches {
                    self.undo_dispatch(command, *token);
                }
            }
            StoreOperation::PushPending(commands) => {
                commands.iter().flat_map(|all| all.iter()).for_each(|one| self.push_pending(one));
            }
            StoreOperation::RemovePending(positions) => {
                for position in positions {
                    self.remove_pending(*position);
                }
            }
            // Nobody else writes to this process's memory.
            StoreOperation::Quarantine(_) | StoreOperation::RepairHead { .. } => {}
            StoreOperation::SetHead(fields) => {
                for field in fields {
                    self.set_head_field(*field);
                }
            }
        }
        StoreResponse::Done
    }

    fn mismatch(&self, operation: &StoreOperation) -> StoreResponse {
        match operation {
            StoreOperation::Append(batch)
                if batch.last() == self.last && batch.digest == self.digest =>
            {
                StoreResponse::AlreadyStored
            }
            _ => StoreResponse::Gap { last: self.last },
        }
    }

    fn head(&self, pending: bool) -> LogHead {
        let lists = self.pending.iter().filter(|_| pending);
        let pending = lists.flat_map(|list| list.entries.values().cloned()).collect();
        LogHead {
            last: self.last,
            pending,
            opened: self.opened,
            logged_in: self.logged_in,
            foreign: 0,
        }
    }

    fn store(
        &mut self,
        batch: &EventBatch,
        publish: impl Fn(&StoredEvent) -> bool,
    ) -> StoreResponse {
        let mut unheard = 0;
        for entry in &batch.entries {
            if self.last < Some(entry.event.id) {
                self.events.push_back((entry.event.clone(), entry.at));
                self.last = Some(entry.event.id);
                unheard += u64::from(!publish(&entry.event));
            }
            if let Some(completion) = &entry.completion {
                self.complete(completion, entry.event.id);
            }
        }
        if let Some(time) = batch.drop_before {
            while self.events.pop_front_if(|(_, at)| *at < time).is_some() {}
        }
        self.digest = batch.digest;
        StoreResponse::Stored { unheard }
    }

    fn complete(&mut self, completion: &CommandCompletion, event: EventId) {
        let expires = Instant::now() + completion.keep;
        let done = LedgerEntry::Done { fingerprint: completion.fingerprint, event, expires };
        self.ledger.insert(completion.command.clone(), done);
        if let Some(position) = completion.pending {
            self.remove_pending(position);
        }
    }

    fn admit(&mut self, request: &AdmissionRequest) -> AdmissionVerdict {
        let AdmissionRequest { admission, token } = request;
        let count = match self.ledger_entry(&admission.command) {
            None => 0,
            Some(entry) if entry.fingerprint() != admission.fingerprint => {
                return AdmissionVerdict::Conflict;
            }
            Some(LedgerEntry::Done { event, .. }) => {
                return AdmissionVerdict::Done(self.event(*event));
            }
            Some(LedgerEntry::Dispatched { token: Some(last), .. }) if last == token => {
                return AdmissionVerdict::Proceed;
            }
            Some(LedgerEntry::Dispatched { count, .. }) => *count,
        };
        match admission.intent {
            Intent::Refuse if count == 0 => AdmissionVerdict::Proceed,
            Intent::Run { idempotent: true } if MAX_DISPATCHES <= count => AdmissionVerdict::Poison,
            Intent::Refuse | Intent::Run { idempotent: false } if 0 < count => {
                AdmissionVerdict::Dispatched
            }
            Intent::Refuse | Intent::Run { .. } => {
                let (fingerprint, token) = (admission.fingerprint, Some(*token));
                let entry = LedgerEntry::Dispatched { fingerprint, count: count + 1, token };
                self.ledger.insert(admission.command.clone(), entry);
                AdmissionVerdict::Proceed
            }
        }
    }

    fn ledger_entry(&self, command: &LedgerKey) -> Option<&LedgerEntry> {
        self.ledger.get(command).filter(|entry| !entry.is_expired(Instant::now()))
    }

    fn event(&self, id: EventId) -> Option<Bytes> {
        let at = self.events.binary_search_by_key(&id, |(event, _)| event.id).ok()?;
        self.events.get(at).map(|(event, _)| event.json.clone())
    }

    fn undo_dispatch(&mut self, command: &LedgerKey, undone: DispatchToken) {
        let Some(LedgerEntry::Dispatched { count, token, .. }) = self.ledger.get_mut(command)
        else {
            return;
        };
        if *token != Some(undone) {
            return;
        }
        (*count, *token) = (*count - 1, None);
        if *count == 0 {
            self.ledger.remove(command);
        }
    }

    fn push_pending(&mut self, command: &PendingCommand) {
        let entry = self.ledger_entry(&command.key());
        let done = matches!(entry, Some(LedgerEntry::Done { .. }));
        let list = self.pending_list(command.position.flow);
        if !done && list.end < Some(command.position.id) {
            list.end = Some(command.position.id);
            list.entries.insert(command.position.id, command.clone());
        }
    }

    fn remove_pending(&mut self, position: PendingPosition) {
        self.pending_list(position.flow).entries.remove(&position.id);
    }

    fn set_head_field(&mut self, field: HeadField) {
        match field {
            HeadField::Opened => self.opened = Some(self.epoch),
            HeadField::LoggedIn(logged_in) => self.logged_in = logged_in,
        }
    }

    fn pending_list(&mut self, flow: Flow) -> &mut PendingList {
        let [hi, lo] = &mut self.pending;
        match flow {
            Flow::Hi => hi,
            Flow::Lo => lo,
        }
    }
}

impl LedgerEntry {
    fn fingerprint(&self) -> CommandFingerprint {
        match self {
            Self::Dispatched { fingerprint, .. } | Self::Done { fingerprint, .. } => *fingerprint,
        }
    }

    fn is_expired(&self, now: Instant) -> bool {
        matches!(self, Self::Done { expires, .. } if *expires <= now)
    }
}
