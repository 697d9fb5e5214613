//! An event log in memory: what a test does to it, and what it can see of it.

mod port;
mod state;

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use contracts::{AccountId, CommandId, Epoch, Flow, LedgerKey, Properties};
use log_port::{HeadField, LogHead, PendingCommand};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;
use state::{LedgerEntry, LogState, StoredCallback};

/// An event log in memory, with its ledger and its pending lists, and the replies that were sent.
/// Requests are executed even while it is down; claims and verdicts wait until it is up.
pub(crate) struct MemoryLog {
    this: Weak<Self>,
    up: watch::Sender<bool>,
    /// Counts the changes of what is stored.
    changes: watch::Sender<usize>,
    /// Counts the admissions that were asked for.
    admissions: watch::Sender<usize>,
    /// Whether the ledger answers admissions.
    answering: watch::Sender<bool>,
    /// The account whose claims wait.
    held_claims: watch::Sender<Option<AccountId>>,
    behind: AtomicBool,
    /// The worker that has this log has crashed: nothing that it still writes is stored.
    crashed: AtomicBool,
    state: Arc<Mutex<LogState>>,
}

impl MemoryLog {
    pub(crate) fn new() -> Arc<Self> {
        Self::over(Arc::default())
    }

    fn over(state: Arc<Mutex<LogState>>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            up: watch::Sender::new(true),
            changes: watch::Sender::new(0),
            admissions: watch::Sender::new(0),
            answering: watch::Sender::new(true),
            held_claims: watch::Sender::new(None),
            behind: AtomicBool::new(false),
            crashed: AtomicBool::new(false),
            state,
        })
    }

    /// The same log for the next worker. Nothing is stored for the worker that had this one.
    pub(crate) fn crash_worker(&self) -> Arc<Self> {
        self.crashed.store(true, Ordering::SeqCst);
        Self::over(Arc::clone(&self.state))
    }

    /// Takes the log down or brings it back up.
    pub(crate) fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }

    /// Makes the ledger silent, or lets it answer again.
    pub(crate) fn set_answering(&self, answering: bool) {
        self.answering.send_replace(answering);
    }

    /// Makes the ledger silent and calls `action`, which leads to `count` admissions. Once they were
    /// asked for, runs `then` and lets the ledger answer.
    pub(crate) async fn while_silent<T>(
        &self,
        count: usize,
        action: impl FnOnce() -> T,
        then: impl Future<Output = ()>,
    ) -> T {
        let before = *self.admissions.borrow();
        self.answering.send_replace(false);
        let result = action();
        let mut admissions = self.admissions.subscribe();
        let asked = admissions.wait_for(|admissions| *admissions >= before + count);
        drop(timeout(PATIENCE, asked).await.unwrap().unwrap());
        then.await;
        self.answering.send_replace(true);
        result
    }

    /// Sets whether the log is far behind.
    pub(crate) fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::SeqCst);
    }

    /// From now on nobody is notified that something is stored, until
    /// [`MemoryLog::release_callbacks`].
    pub(crate) fn hold_callbacks(&self) {
        self.lock().held = Some(Vec::new());
    }

    /// Sends the notifications that were held back; later ones are held back again.
    pub(crate) fn release_callbacks(&self) {
        let held = self.lock().held.as_mut().map(mem::take);
        held.into_iter().flatten().for_each(|callback| callback());
    }

    /// From now on a newer epoch has the account.
    pub(crate) fn fence_account(&self, account: i64) {
        self.lock().epochs.insert(account_id(account), Epoch(u64::MAX));
    }

    /// The end of [`MemoryLog::fence_account`].
    pub(crate) fn lift_fence(&self, account: i64) {
        self.lock().epochs.remove(&account_id(account));
    }

    /// From now on claims of the account wait.
    pub(crate) fn hold_claims(&self, account: i64) {
        self.held_claims.send_replace(Some(account_id(account)));
    }

    /// The end of [`MemoryLog::hold_claims`].
    pub(crate) fn release_claims(&self) {
        self.held_claims.send_replace(None);
    }

    /// Loses everything but the events, like a Redis that comes back without its data.
    pub(crate) fn lose_state(&self) {
        let mut state = self.lock();
        state.epochs.clear();
        state.heads.clear();
        state.ledger.clear();
        state.pending.clear();
    }

    /// Sets the head that the next claim of an account returns.
    pub(crate) fn set_head(&self, account: i64, head: LogHead) {
        self.lock().heads.insert(account_id(account), head);
    }

    /// The fields that were set in an account's head, in order.
    pub(crate) fn head_fields(&self, account: i64) -> Vec<HeadField> {
        self.lock().head_fields.get(&account_id(account)).cloned().unwrap_or_default()
    }

    /// How often a command was dispatched; `None` if the ledger does not know it, or it is done.
    pub(crate) fn dispatches(&self, account: i64, command: &str) -> Option<u32> {
        match self.lock().ledger.get(&ledger_key(account, command))? {
            LedgerEntry::Dispatched { count, .. } => Some(*count),
            LedgerEntry::Done { .. } => None,
        }
    }

    /// How long the ledger remembers that a command is done.
    pub(crate) fn kept_for(&self, account: i64, command: &str) -> Option<Duration> {
        match self.lock().ledger.get(&ledger_key(account, command))? {
            LedgerEntry::Dispatched { .. } => None,
            LedgerEntry::Done { keep, .. } => Some(*keep),
        }
    }

    /// Trims the answers of all commands that are done.
    pub(crate) fn trim_answers(&self) {
        for entry in self.lock().ledger.values_mut() {
            if let LedgerEntry::Done { event, .. } = entry {
                *event = None;
            }
        }
    }

    /// Appends a command to a pending list of account 1, like an earlier owner.
    pub(crate) fn leave_pending(&self, command: PendingCommand) {
        self.lock().push_pending(account_id(1), command);
    }

    /// The ids of the commands in a pending list of account 1, in order.
    pub(crate) fn pending(&self, flow: Flow) -> Vec<String> {
        let state = self.lock();
        let list = state.pending.get(&(account_id(1), flow)).into_iter();
        let commands = list.flat_map(|list| list.entries.values().map(|entry| &entry.command));
        commands.map(ToString::to_string).collect()
    }

    /// Waits until a pending list of account 1 has exactly these commands.
    pub(crate) async fn wait_pending(&self, flow: Flow, expected: &[&str]) {
        let mut changes = self.changes.subscribe();
        let found = async {
            while self.pending(flow) != expected {
                changes.changed().await.unwrap();
            }
        };
        let found = timeout(PATIENCE, found).await;
        assert!(found.is_ok(), "{:?} are pending, not {expected:?}", self.pending(flow));
    }

    /// The replies that the worker has sent by itself: the command's properties and the payload.
    pub(crate) fn replies(&self) -> Vec<(Properties, Value)> {
        self.lock().replies.clone()
    }

    /// The payloads of an account's events, in order.
    pub(crate) fn events(&self, account: i64) -> Vec<Value> {
        let state = self.lock();
        let payloads = state.events.iter().map(|event| &event["payload"]);
        payloads.filter(|payload| payload["userbot_id"] == account).cloned().collect()
    }

    /// The types of an account's events, in order.
    pub(crate) fn kinds(&self, account: i64) -> Vec<String> {
        let kind = |payload: Value| payload["type"].as_str().unwrap().to_owned();
        self.events(account).into_iter().map(kind).collect()
    }

    /// The answers to a command: the payloads of the events with its id.
    pub(crate) fn answers(&self, account: i64, command: &str) -> Vec<Value> {
        let events = self.events(account).into_iter();
        events.filter(|event| event["_meta"]["command_id"] == command).collect()
    }

    /// Waits for an event of this type whose result matches, and returns the first.
    pub(crate) async fn next(
        &self,
        account: i64,
        kind: &str,
        with: impl Fn(&Value) -> bool,
    ) -> Value {
        self.next_event(account, kind, |event| with(&event["result"])).await
    }

    /// Waits for an event of this type that matches, and returns the first.
    pub(crate) async fn next_event(
        &self,
        account: i64,
        kind: &str,
        with: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut changes = self.changes.subscribe();
        let found = async {
            loop {
                let events = self.events(account).into_iter();
                let mut events = events.filter(|event| event["type"] == kind);
                if let Some(event) = events.find(|event| with(event)) {
                    return event;
                }
                changes.changed().await.unwrap();
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("no such {kind} among {:?}", self.kinds(account)))
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap()
    }

    fn count_change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Notifies now, or once that is not held back any more.
    fn notify(&self, callback: StoredCallback) {
        let now = match &mut self.lock().held {
            Some(held) => {
                held.push(callback);
                None
            }
            None => Some(callback),
        };
        if let Some(callback) = now {
            callback();
        }
    }

    fn is_crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }
}

fn account_id(account: i64) -> AccountId {
    AccountId::new(account).unwrap()
}

fn ledger_key(account: i64, command: &str) -> (AccountId, LedgerKey) {
    let command = CommandId::new(command).unwrap();
    (account_id(account), LedgerKey { caller: None, command })
}
