//! What a log in memory stores, and the ledger's rules.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use contracts::{AccountId, Epoch, Event, EventId, Flow, LedgerKey, Properties};
use log_port::{
    Admission, AdmissionVerdict, CommandCompletion, CommandFingerprint, HeadField, Intent, LogHead,
    MAX_DISPATCHES, NotStored, OwnerToken, PendingCommand, PendingPosition,
};
use serde_json::Value;

#[derive(Default)]
pub(super) struct LogState {
    pub(super) events: Vec<Value>,
    /// The epoch of each account's owner.
    pub(super) epochs: HashMap<AccountId, Epoch>,
    pub(super) heads: HashMap<AccountId, LogHead>,
    pub(super) head_fields: HashMap<AccountId, Vec<HeadField>>,
    pub(super) ledger: HashMap<(AccountId, LedgerKey), LedgerEntry>,
    pub(super) pending: HashMap<(AccountId, Flow), PendingList>,
    pub(super) replies: Vec<(Properties, Value)>,
    /// The notifications that are held back, if they are.
    pub(super) held: Option<Vec<StoredCallback>>,
}

/// Notifies a worker that something is stored.
pub(super) type StoredCallback = Box<dyn FnOnce() + Send>;

pub(super) enum LedgerEntry {
    Dispatched {
        fingerprint: CommandFingerprint,
        count: u32,
        /// The owner that dispatched it last, as long as it may undo that.
        last: Option<Epoch>,
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

impl LogState {
    /// Makes an owner the account's owner, unless there is a newer one.
    pub(super) fn own(&mut self, owner: OwnerToken) -> Result<(), NotStored> {
        let newest = self.epochs.get(&owner.account).copied();
        if let Some(current) = newest.filter(|newest| owner.epoch < *newest) {
            return Err(NotStored::Fenced { current });
        }
        self.epochs.insert(owner.account, owner.epoch);
        Ok(())
    }

    pub(super) fn claim(&mut self, owner: OwnerToken) -> Result<LogHead, NotStored> {
        self.own(owner)?;
        let mut head = self.heads.get(&owner.account).cloned().unwrap_or_default();
        for flow in Flow::ALL {
            let list = self.pending.get(&(owner.account, flow));
            head.pending.extend(list.into_iter().flat_map(|list| list.entries.values().cloned()));
        }
        Ok(head)
    }

    pub(super) fn append(
        &mut self,
        owner: OwnerToken,
        event: &Event,
        completion: Option<CommandCompletion>,
    ) -> Result<Bytes, NotStored> {
        self.own(owner)?;
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
        owner: OwnerToken,
        admission: Admission,
    ) -> Result<AdmissionVerdict, NotStored> {
        self.own(owner)?;
        let Admission { command, fingerprint, intent } = admission;
        let (key, by) = ((owner.account, command), Some(owner.epoch));
        let Some(entry) = self.ledger.get_mut(&key) else {
            if matches!(intent, Intent::Run { .. }) {
                let entry = LedgerEntry::Dispatched { fingerprint, count: 1, last: by };
                self.ledger.insert(key, entry);
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
            LedgerEntry::Dispatched { count, last, .. } => {
                (*count, *last) = (*count + 1, by);
                AdmissionVerdict::Proceed
            }
        })
    }

    /// Undoes the last dispatch, if it is the owner's and not undone already.
    pub(super) fn undo_dispatch(&mut self, owner: OwnerToken, command: LedgerKey) {
        let key = (owner.account, command);
        if let Some(LedgerEntry::Dispatched { count, last, .. }) = self.ledger.get_mut(&key)
            && last.take_if(|last| *last == owner.epoch).is_some()
        {
            *count -= 1;
            if *count == 0 {
                self.ledger.remove(&key);
            }
        }
    }

    /// Appends a command to its pending list, unless it is done or was in the list before.
    pub(super) fn push_pending(&mut self, account: AccountId, command: PendingCommand) {
        let entry = self.ledger.get(&(account, command.key()));
        let done = matches!(entry, Some(LedgerEntry::Done { .. }));
        let list = self.pending.entry((account, command.position.flow)).or_default();
        if !done && list.last < Some(command.position.id) {
            list.last = Some(command.position.id);
            list.entries.insert(command.position.id, command);
        }
    }

    pub(super) fn remove_pending(&mut self, account: AccountId, position: PendingPosition) {
        if let Some(list) = self.pending.get_mut(&(account, position.flow)) {
            list.entries.remove(&position.id);
        }
    }

    pub(super) fn set_head_field(&mut self, owner: OwnerToken, field: HeadField) {
        let head = self.heads.entry(owner.account).or_default();
        match field {
            HeadField::Opened => head.opened = Some(owner.epoch),
            HeadField::LoggedIn(logged_in) => head.logged_in = logged_in,
        }
        self.head_fields.entry(owner.account).or_default().push(field);
    }
}

impl LedgerEntry {
    fn fingerprint(&self) -> CommandFingerprint {
        match self {
            Self::Dispatched { fingerprint, .. } | Self::Done { fingerprint, .. } => *fingerprint,
        }
    }
}
