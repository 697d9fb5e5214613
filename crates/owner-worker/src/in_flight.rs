//! In-flight commands by id. A duplicate joins the first delivery and gets the same outcome.

use std::collections::HashMap;
use std::fmt::Display;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use contracts::{AccountId, Flow, LedgerKey};
use jiff::Timestamp;
use log_port::{CommandFingerprint, PendingCommand, PendingPosition};

use crate::ports::{CommandOutcome, OnOutcome, ReplySender};
use crate::raw_message::RawMessage;

/// A command is in this table from its arrival until its answer is in the log, or until it is
/// dropped without having been executed.
pub(crate) struct InFlightTable {
    replies: Arc<dyn ReplySender>,
    entries: Mutex<HashMap<CommandKey, InFlightEntry>>,
}

/// An id is unique within its account and caller.
pub(crate) type CommandKey = (AccountId, LedgerKey);

struct InFlightEntry {
    fingerprint: CommandFingerprint,
    message: RawMessage,
    queue: QueueState,
    /// Its answer is being appended to the log.
    answering: bool,
    /// Its guard was dropped while the command was being written to the pending list; the entry
    /// stays until that is confirmed.
    abandoned: bool,
    /// Who waits for the outcome: the first delivery, and the duplicates that joined it.
    first: Option<OnOutcome>,
    joined: Vec<OnOutcome>,
}

/// Where a command is queued.
#[derive(Clone, Copy, PartialEq, Eq)]
enum QueueState {
    /// Nowhere: it is being rejected.
    NotQueued,
    /// It waits in its lane or runs; its message is not acknowledged yet.
    Queued(PendingPosition),
    /// The same, and it is being written to the pending list.
    Storing(PendingPosition),
    /// It is in the pending list; its message is acknowledged.
    Pending(PendingPosition),
}

/// The result of [`InFlightTable::register`].
pub(crate) enum Registration {
    /// The command is not in flight yet.
    New(InFlightGuard),
    /// The same command is in flight; the message gets the same outcome.
    Duplicate,
    /// Another command with this id is in flight; the message is still to be answered.
    Conflict(OnOutcome),
}

/// Keeps a command in the table. Dropping it without [`InFlightGuard::resolve`] drops everyone's
/// callback, which means redelivery, unless the command is being written to the pending list.
pub(crate) struct InFlightGuard {
    table: Arc<InFlightTable>,
    key: CommandKey,
    fingerprint: CommandFingerprint,
    resolved: bool,
}

impl InFlightTable {
    pub(crate) fn new(replies: Arc<dyn ReplySender>) -> Arc<Self> {
        Arc::new(Self { replies, entries: Mutex::default() })
    }

    /// Adds a command. `on_outcome` is `None` if its message is acknowledged already.
    pub(crate) fn register(
        self: &Arc<Self>,
        key: CommandKey,
        fingerprint: CommandFingerprint,
        message: RawMessage,
        on_outcome: Option<OnOutcome>,
    ) -> Registration {
        let mut entries = self.lock();
        let Some(first) = entries.get_mut(&key) else {
            let entry = InFlightEntry {
                fingerprint,
                message,
                queue: QueueState::NotQueued,
                answering: false,
                abandoned: false,
                first: on_outcome,
                joined: Vec::new(),
            };
            entries.insert(key.clone(), entry);
            let table = Arc::clone(self);
            return Registration::New(InFlightGuard { table, key, fingerprint, resolved: false });
        };
        let Some(on_outcome) = on_outcome else { return Registration::Duplicate };
        if first.fingerprint != fingerprint {
            return Registration::Conflict(on_outcome);
        }
        if !matches!(first.queue, QueueState::Pending(_)) {
            first.joined.push(on_outcome);
            return Registration::Duplicate;
        }
        drop(entries);
        on_outcome(CommandOutcome::Pending);
        Registration::Duplicate
    }

    /// Whether a command of this flow that arrived at `since` or earlier is neither answered nor in
    /// a pending list.
    pub(crate) fn is_slow(&self, flow: Flow, since: Timestamp) -> bool {
        let late = |entry: &InFlightEntry| entry.message.received_at <= since && !entry.answering;
        let queued = |entry: &InFlightEntry| matches!(entry.queue, QueueState::Queued(at) if at.flow == flow);
        self.lock().values().any(|entry| late(entry) && queued(entry))
    }

    /// Takes the commands of one flow that are only in their lane, in order, to be written to the
    /// pending list; see [`InFlightTable::mark_pending`].
    pub(crate) fn take_queued(&self, flow: Flow) -> Vec<PendingCommand> {
        self.select(|queue| {
            let QueueState::Queued(position) = *queue else { return None };
            (position.flow == flow)
                .then(|| *queue = QueueState::Storing(position))
                .map(|()| position)
        })
    }

    /// All commands that belong in the pending lists, in order.
    pub(crate) fn pending(&self) -> Vec<PendingCommand> {
        self.select(|queue| match *queue {
            QueueState::Storing(position) | QueueState::Pending(position) => Some(position),
            QueueState::NotQueued | QueueState::Queued(_) => None,
        })
    }

    fn select(
        &self,
        mut position_of: impl FnMut(&mut QueueState) -> Option<PendingPosition>,
    ) -> Vec<PendingCommand> {
        let mut entries = self.lock();
        let open = entries
            .iter_mut()
            .filter(|(_, entry)| !entry.answering && !entry.abandoned && !entry.message.secret);
        let mut selected: Vec<_> = open
            .filter_map(|((_, key), entry)| {
                let position = position_of(&mut entry.queue)?;
                Some(entry.message.to_pending(position, key.command.clone()))
            })
            .collect();
        selected.sort_unstable_by_key(|command| command.position.id);
        selected
    }

    /// Records that these commands are in the pending list: their messages can be acknowledged.
    pub(crate) fn mark_pending(
        &self,
        account: AccountId,
        commands: Vec<(LedgerKey, PendingPosition)>,
    ) {
        let mut callbacks = Vec::new();
        let mut entries = self.lock();
        for (key, position) in commands {
            let key = (account, key);
            let Some(entry) = entries.get_mut(&key) else { continue };
            let expected = [QueueState::Storing(position), QueueState::Pending(position)];
            if expected.contains(&entry.queue) {
                entry.queue = QueueState::Pending(position);
                callbacks.extend(entry.first.take());
                callbacks.append(&mut entry.joined);
                if entry.abandoned {
                    entries.remove(&key);
                }
            }
        }
        drop(entries);
        for on_outcome in callbacks {
            on_outcome(CommandOutcome::Pending);
        }
    }

    /// Takes the callbacks of all commands whose messages are not acknowledged yet, with the outcome
    /// that nothing can be stored for the account.
    pub(crate) fn take_not_owned(&self, why: &impl Display) -> Vec<(OnOutcome, CommandOutcome)> {
        let mut callbacks = Vec::new();
        for entry in self.lock().values_mut() {
            let outcome = entry.message.not_owned(why);
            let waiting = entry.first.take().into_iter().chain(mem::take(&mut entry.joined));
            callbacks.extend(waiting.map(|callback| (callback, outcome.clone())));
        }
        callbacks
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CommandKey, InFlightEntry>> {
        runtime::lock(&self.entries)
    }
}

impl InFlightGuard {
    pub(crate) fn command(&self) -> &LedgerKey {
        &self.key.1
    }

    pub(crate) fn fingerprint(&self) -> CommandFingerprint {
        self.fingerprint
    }

    /// Records that the command is in its lane.
    pub(crate) fn set_queued(&self, position: PendingPosition) {
        self.set(QueueState::Queued(position));
    }

    /// Records that the command is in the pending list.
    pub(crate) fn set_pending(&self, position: PendingPosition) {
        self.set(QueueState::Pending(position));
    }

    fn set(&self, queue: QueueState) {
        if let Some(entry) = self.table.lock().get_mut(&self.key) {
            entry.queue = queue;
        }
    }

    /// Records that the command has left its lane to be rejected. In a pending list it stays until
    /// it is answered.
    pub(crate) fn leave_lane(&self) {
        if let Some(entry) = self.table.lock().get_mut(&self.key)
            && let QueueState::Queued(_) = entry.queue
        {
            entry.queue = QueueState::NotQueued;
        }
    }

    /// Takes the command, if it is only in its lane, to be written to the pending list.
    pub(crate) fn take_queued(&self) -> Option<PendingCommand> {
        let mut entries = self.table.lock();
        let entry = entries.get_mut(&self.key)?;
        let QueueState::Queued(position) = entry.queue else { return None };
        entry.queue = QueueState::Storing(position);
        Some(entry.message.to_pending(position, self.key.1.command.clone()))
    }

    /// Records that the answer is about to be appended, and returns the position that the command
    /// leaves in the pending list.
    pub(crate) fn begin_answer(&self) -> Option<PendingPosition> {
        let mut entries = self.table.lock();
        let entry = entries.get_mut(&self.key)?;
        entry.answering = true;
        match entry.queue {
            QueueState::Storing(position) | QueueState::Pending(position) => Some(position),
            QueueState::NotQueued | QueueState::Queued(_) => None,
        }
    }

    /// Calls everyone who waits: nothing can be stored for the account.
    pub(crate) fn resolve_not_owned(self, why: &impl Display) {
        let entries = self.table.lock();
        let outcome = entries.get(&self.key).map(|entry| entry.message.not_owned(why));
        drop(entries);
        if let Some(outcome) = outcome {
            self.resolve(outcome);
        }
    }

    /// Calls everyone who waits. If the message is acknowledged already, the answer is sent as its
    /// reply.
    pub(crate) fn resolve(mut self, outcome: CommandOutcome) {
        self.resolved = true;
        let Some(mut entry) = self.table.lock().remove(&self.key) else { return };
        if let (QueueState::Pending(_), CommandOutcome::Answered(event)) = (entry.queue, &outcome) {
            self.table.replies.reply(&entry.message.properties, event.clone());
        }
        for on_outcome in mem::take(&mut entry.joined) {
            on_outcome(outcome.clone());
        }
        if let Some(first) = entry.first.take() {
            first(outcome);
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if self.resolved {
            return;
        }
        let mut entries = self.table.lock();
        if let Some(entry) = entries.get_mut(&self.key)
            && let QueueState::Storing(_) = entry.queue
        {
            entry.abandoned = true;
            return;
        }
        let unresolved = entries.remove(&self.key);
        drop(entries);
        drop(unresolved);
    }
}
