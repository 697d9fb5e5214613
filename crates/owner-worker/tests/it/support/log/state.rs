//! What a log in memory stores, and the ledger's rules.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use contracts::{AccountId, CommandId, Epoch, Event, EventId, Flow, Properties};
use log_port::{
    Admission, AdmissionVerdict, CommandCompletion, CommandFingerprint, HeadField, Intent, LogHead,
    MAX_DISPATCHES, NotStored, OwnerToken, PendingCommand, PendingPosition,
};
use serde_json::Value;

#[derive(Default)]
pub(super) struct LogState {
    pub(super) events: Vec<Value>,
    pub(super) heads: HashMap<AccountId, LogHead>,
    pub(super) head_fields: HashMap<AccountId, Vec<HeadField>>,
    pub(super) ledger: HashMap<(AccountId, CommandId), LedgerEntry>,
    pub(super) pending: HashMap<(AccountId, Flow), PendingList>,
    pub(super) replies: Vec<(Properties, Value)>,
    /// Accounts that a newer epoch has.
    pub(super) fenced: HashSet<AccountId>,
    /// The notifications that are held back, if they are.
    pub(super) held: Option<Vec<StoredCallback>>,
}

/// Notifies a worker that something is stored.
pub(super) type StoredCallback = Box<dyn FnOnce() + Send>;

pub(super) enum LedgerEntry {
    Dispatched {
        fingerprint: CommandFingerprint,
        count: u32,
    },
    Done {
        fingerprint: CommandFingerprint,
        /// `None` once it is trimmed.
        event: Option<Bytes>,
        keep: Duration,
    },
}

#[derive(Default)]
pub(super) struct PendingList {
    pub(super) entries: BTreeMap<EventId, PendingCommand>,
    last: Option<EventId>,
}

/// Any newer epoch.
const FENCED: NotStored = NotStored::Fenced { current: Epoch(u64::MAX) };

impl LogState {
    /// What a claim returns.
    pub(super) fn head(&self, account: AccountId) -> LogHead {
        let mut head = self.heads.get(&account).cloned().unwrap_or_default();
        for flow in Flow::ALL {
            let list = self.pending.get(&(account, flow));
            head.pending.extend(list.into_iter().flat_map(|list| list.entries.values().cloned()));
        }
        head
    }

    pub(super) fn check_fence(&self, account: AccountId) -> Result<(), NotStored> {
        if self.fenced.contains(&account) { Err(FENCED) } else { Ok(()) }
    }

    pub(super) fn append(
        &mut self,
        owner: OwnerToken,
        event: &Event,
        completion: Option<CommandCompletion>,
    ) -> Result<Bytes, NotStored> {
        self.check_fence(owner.account)?;
        let head = self.heads.entry(event.account).or_default();
        let previous = head.last;
        let same_epoch = previous.filter(|last| last.epoch == owner.epoch);
        let event_id = same_epoch.map_or_else(|| EventId::first(owner.epoch), EventId::next);
        head.last = Some(event_id);
        let mut json = Vec::new();
        event.encode(event_id, previous, &mut json);
        self.events.push(serde_json::from_slice(&json).unwrap());
        let json = Bytes::from(json);
        if let Some(CommandCompletion { command, fingerprint, keep, pending }) = completion {
            let done = LedgerEntry::Done { fingerprint, event: Some(json.clone()), keep };
            self.ledger.insert((owner.account, command), done);
            if let Some(position) = pending {
                self.remove_pending(owner.account, position);
            }
        }
        Ok(json)
    }

    pub(super) fn admit(
        &mut self,
        account: AccountId,
        admission: Admission,
    ) -> Result<AdmissionVerdict, NotStored> {
        self.check_fence(account)?;
        let Admission { command, fingerprint, intent } = admission;
        let key = (account, command);
        let Some(entry) = self.ledger.get_mut(&key) else {
            if matches!(intent, Intent::Run { .. }) {
                self.ledger.insert(key, LedgerEntry::Dispatched { fingerprint, count: 1 });
            }
            return Ok(AdmissionVerdict::Proceed);
        };
        if entry.fingerprint() != fingerprint {
            return Ok(AdmissionVerdict::Conflict);
        }
        let may_repeat = intent == Intent::Run { idempotent: true };
        Ok(match entry {
            LedgerEntry::Done { event, .. } => AdmissionVerdict::Done(event.clone()),
            LedgerEntry::Dispatched { .. } if !may_repeat => AdmissionVerdict::Dispatched,
            LedgerEntry::Dispatched { count, .. } if *count >= MAX_DISPATCHES => {
                AdmissionVerdict::Poison
            }
            LedgerEntry::Dispatched { count, .. } => {
                *count += 1;
                AdmissionVerdict::Proceed
            }
        })
    }

    pub(super) fn undo_dispatch(&mut self, account: AccountId, command: CommandId) {
        let key = (account, command);
        if let Some(LedgerEntry::Dispatched { count, .. }) = self.ledger.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.ledger.remove(&key);
            }
        }
    }

    pub(super) fn push_pending(&mut self, account: AccountId, command: PendingCommand) {
        let list = self.pending.entry((account, command.position.flow)).or_default();
        if list.last < Some(command.position.id) {
            list.last = Some(command.position.id);
            list.entries.insert(command.position.id, command);
        }
    }

    pub(super) fn remove_pending(&mut self, account: AccountId, position: PendingPosition) {
        if let Some(list) = self.pending.get_mut(&(account, position.flow)) {
            list.entries.remove(&position.id);
        }
    }

    pub(super) fn set_head_field(&mut self, token: OwnerToken, field: HeadField) {
        // A later claim does not return `logged_in`: the scripted TDLib creates no database.
        if field == HeadField::Opened {
            self.heads.entry(token.account).or_default().opened = Some(token.epoch);
        }
        self.head_fields.entry(token.account).or_default().push(field);
    }
}

impl LedgerEntry {
    fn fingerprint(&self) -> CommandFingerprint {
        match self {
            Self::Dispatched { fingerprint, .. } | Self::Done { fingerprint, .. } => *fingerprint,
        }
    }
}
