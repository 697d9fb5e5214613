use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use bytes::Bytes;
use contracts::{AccountId, CommandId, Epoch, Event, EventId, Flow, Properties};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use log_port::{
    AccountLog, Admission, AdmissionVerdict, CommandCompletion, CommandFingerprint, HeadField,
    Intent, LogHead, LogPort, MAX_DISPATCHES, NotStored, OnPending, OnStored, OwnerToken,
    PendingCommand, PendingPosition,
};
use owner_worker::ReplySender;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;

/// An event log in memory, with its ledger and its pending lists, and the replies that went out.
/// Events are stored while it is away as well; questions wait until it is back.
pub(crate) struct MemoryLog {
    this: Weak<Self>,
    up: watch::Sender<bool>,
    length: watch::Sender<usize>,
    /// So many questions were put to the ledger.
    asked: watch::Sender<usize>,
    /// Questions to the ledger are answered.
    answers: watch::Sender<bool>,
    pressed: AtomicBool,
    /// The worker that has this is dead: what it still says is not heard.
    dead: AtomicBool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    events: Vec<Value>,
    heads: HashMap<AccountId, LogHead>,
    notes: HashMap<AccountId, Vec<HeadField>>,
    ledger: HashMap<(AccountId, CommandId), Entry>,
    pending: HashMap<(AccountId, Flow), Pending>,
    replies: Vec<(Properties, Value)>,
    fenced: bool,
    /// What waits to be told that it is stored, while that is held back.
    held: Option<Vec<Told>>,
}

type Told = Box<dyn FnOnce() + Send>;

enum Entry {
    HandedOver(CommandFingerprint, u32),
    Done(CommandFingerprint, Bytes, Duration),
}

#[derive(Default)]
struct Pending {
    entries: BTreeMap<EventId, PendingCommand>,
    last: Option<EventId>,
}

impl MemoryLog {
    pub(crate) fn new() -> Arc<Self> {
        Self::over(Arc::default())
    }

    fn over(state: Arc<Mutex<State>>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            up: watch::Sender::new(true),
            length: watch::Sender::new(0),
            asked: watch::Sender::new(0),
            answers: watch::Sender::new(true),
            pressed: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            state,
        })
    }

    /// The same log for the next worker; the one that had this is dead from now on.
    pub(crate) fn bury(&self) -> Arc<Self> {
        self.dead.store(true, Ordering::SeqCst);
        Self::over(Arc::clone(&self.state))
    }

    /// Lets the log be away, or back.
    pub(crate) fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }

    /// Lets the ledger be silent, or answer again.
    pub(crate) fn set_answering(&self, answers: bool) {
        self.answers.send_replace(answers);
    }

    /// Lets the ledger be silent, has `what` done, which asks it `number` questions, and lets it
    /// answer again after `then`.
    pub(crate) async fn while_asking<T>(
        &self,
        number: usize,
        what: impl FnOnce() -> T,
        then: impl Future<Output = ()>,
    ) -> T {
        let before = *self.asked.borrow();
        self.answers.send_replace(false);
        let result = what();
        let mut asked = self.asked.subscribe();
        let come = timeout(PATIENCE, asked.wait_for(|asked| *asked >= before + number)).await;
        drop(come.unwrap().unwrap());
        then.await;
        self.answers.send_replace(true);
        result
    }

    /// Lets the log be far behind.
    pub(crate) fn set_pressed(&self, pressed: bool) {
        self.pressed.store(pressed, Ordering::SeqCst);
    }

    /// What is stored from now on is not told to be, until [`MemoryLog::release`].
    pub(crate) fn hold(&self) {
        self.lock().held = Some(Vec::new());
    }

    /// Tells what was held back; what follows is held back again.
    pub(crate) fn release(&self) {
        let held = self.lock().held.as_mut().map(mem::take);
        held.into_iter().flatten().for_each(|told| told());
    }

    /// From now on a newer owner has every account.
    pub(crate) fn fence(&self) {
        self.lock().fenced = true;
    }

    /// Forgets everything but the events, as a Redis does that comes back without its data.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.heads.clear();
        state.ledger.clear();
        state.pending.clear();
    }

    /// Says so to whoever claims the account.
    pub(crate) fn set_head(&self, account: i64, head: LogHead) {
        self.lock().heads.insert(id(account), head);
    }

    /// What was written into the account's head.
    pub(crate) fn notes(&self, account: i64) -> Vec<HeadField> {
        self.lock().notes.get(&id(account)).cloned().unwrap_or_default()
    }

    /// How often a command counts as handed over; `None` when the ledger does not know it.
    pub(crate) fn handed_over(&self, account: i64, command: &str) -> Option<u32> {
        match self.lock().ledger.get(&key(account, command))? {
            Entry::HandedOver(_, count) => Some(*count),
            Entry::Done(..) => None,
        }
    }

    /// How long the ledger remembers that a command is done.
    pub(crate) fn kept(&self, account: i64, command: &str) -> Option<Duration> {
        match self.lock().ledger.get(&key(account, command))? {
            Entry::HandedOver(..) => None,
            Entry::Done(_, _, keep) => Some(*keep),
        }
    }

    /// Trims the events that commands were answered by.
    pub(crate) fn trim(&self) {
        for entry in self.lock().ledger.values_mut() {
            if let Entry::Done(_, event, _) = entry {
                event.clear();
            }
        }
    }

    /// Puts a command of account 1 into its pending list, as an earlier owner has.
    pub(crate) fn leave_parked(&self, parked: PendingCommand) {
        self.lock().park(id(1), parked);
    }

    /// The ids of the commands in a pending list of account 1, in its order.
    pub(crate) fn pending(&self, flow: Flow) -> Vec<String> {
        let state = self.lock();
        let list = state.pending.get(&(id(1), flow)).into_iter();
        let commands = list.flat_map(|list| list.entries.values().map(|one| &one.command));
        commands.map(ToString::to_string).collect()
    }

    /// Waits until these commands are in a pending list of account 1.
    pub(crate) async fn parked(&self, flow: Flow, expected: &[&str]) {
        let mut length = self.length.subscribe();
        let come = async {
            while self.pending(flow) != expected {
                length.changed().await.unwrap();
            }
        };
        let come = timeout(PATIENCE, come).await;
        assert!(come.is_ok(), "{:?} are parked and not {expected:?}", self.pending(flow));
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

    /// Types of an account's events, in order.
    pub(crate) fn kinds(&self, account: i64) -> Vec<String> {
        let kind = |payload: Value| payload["type"].as_str().unwrap().to_owned();
        self.events(account).into_iter().map(kind).collect()
    }

    /// The answers to a command: the payloads of the events that carry its id.
    pub(crate) fn answers(&self, account: i64, command: &str) -> Vec<Value> {
        let events = self.events(account).into_iter();
        events.filter(|event| event["_meta"]["command_id"] == command).collect()
    }

    /// Waits for an event of this type with such a result, and gives the first.
    pub(crate) async fn next(
        &self,
        account: i64,
        kind: &str,
        with: impl Fn(&Value) -> bool,
    ) -> Value {
        self.next_event(account, kind, |event| with(&event["result"])).await
    }

    /// Waits for an event of this type that is such a one, and gives the first.
    pub(crate) async fn next_event(
        &self,
        account: i64,
        kind: &str,
        with: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut length = self.length.subscribe();
        let found = async {
            loop {
                let events = self.events(account).into_iter();
                let mut events = events.filter(|event| event["type"] == kind);
                if let Some(event) = events.find(|event| with(event)) {
                    return event;
                }
                length.changed().await.unwrap();
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("no such {kind} among {:?}", self.kinds(account)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Tells at once, or when that is not held back any more.
    fn tell(&self, told: Told) {
        let now = match &mut self.lock().held {
            Some(held) => {
                held.push(told);
                None
            }
            None => Some(told),
        };
        if let Some(told) = now {
            told();
        }
    }

    fn account_log(&self, token: OwnerToken) -> Arc<dyn AccountLog> {
        let log = self.this.upgrade().unwrap();
        Arc::new(MemoryAccountLog { token, log })
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
}

impl State {
    fn append(
        &mut self,
        owner: OwnerToken,
        event: &Event,
        completion: Option<CommandCompletion>,
    ) -> Stored {
        if self.fenced {
            return Err(FENCED);
        }
        let head = self.heads.entry(event.account).or_default();
        let prev = head.last;
        let same = prev.filter(|last| last.epoch == owner.epoch);
        let event_id = same.map_or_else(|| EventId::first(owner.epoch), EventId::next);
        head.last = Some(event_id);
        let mut json = Vec::new();
        event.encode(event_id, prev, &mut json);
        self.events.push(serde_json::from_slice(&json).unwrap());
        let json = Bytes::from(json);
        if let Some(CommandCompletion { command, fingerprint, keep, pending }) = completion {
            let done = Entry::Done(fingerprint, json.clone(), keep);
            self.ledger.insert((owner.account, command), done);
            self.unpark(owner.account, pending);
        }
        Ok(json)
    }

    fn begin(&mut self, account: AccountId, begin: Admission) -> AdmissionVerdict {
        let Admission { command, fingerprint, intent } = begin;
        let runs = matches!(intent, Intent::Run { .. });
        let again = intent == Intent::Run { idempotent: true };
        let key = (account, command);
        match self.ledger.get_mut(&key) {
            None => {
                if runs {
                    self.ledger.insert(key, Entry::HandedOver(fingerprint, 1));
                }
                AdmissionVerdict::Proceed
            }
            Some(Entry::HandedOver(known, _) | Entry::Done(known, ..)) if *known != fingerprint => {
                AdmissionVerdict::Conflict
            }
            Some(Entry::Done(_, event, _)) => {
                AdmissionVerdict::Done((!event.is_empty()).then(|| event.clone()))
            }
            Some(Entry::HandedOver(_, count)) if *count >= MAX_DISPATCHES && again => {
                AdmissionVerdict::Poison
            }
            Some(Entry::HandedOver(_, count)) if again => {
                *count += 1;
                AdmissionVerdict::Proceed
            }
            Some(Entry::HandedOver(..)) => AdmissionVerdict::Dispatched,
        }
    }

    fn park(&mut self, account: AccountId, parked: PendingCommand) {
        let list = self.pending.entry((account, parked.position.flow)).or_default();
        if list.last < Some(parked.position.id) {
            list.last = Some(parked.position.id);
            list.entries.insert(parked.position.id, parked);
        }
    }

    fn unpark(&mut self, account: AccountId, place: Option<PendingPosition>) {
        let list = place.and_then(|place| self.pending.get_mut(&(account, place.flow)));
        if let (Some(list), Some(place)) = (list, place) {
            list.entries.remove(&place.id);
        }
    }
}

/// Some newer epoch.
const FENCED: NotStored = NotStored::Fenced { current: Epoch(u64::MAX) };

type Stored = Result<Bytes, NotStored>;

impl LogPort for MemoryLog {
    fn claim(
        &self,
        token: OwnerToken,
    ) -> BoxFuture<'_, Result<(Arc<dyn AccountLog>, LogHead), NotStored>> {
        let mut up = self.up.subscribe();
        async move {
            up.wait_for(|up| *up).await.map_err(|_| NotStored::Closed)?;
            let state = self.lock();
            let mut head = state.heads.get(&token.account).cloned().unwrap_or_default();
            for flow in Flow::ALL {
                let list = state.pending.get(&(token.account, flow));
                head.pending.extend(list.into_iter().flat_map(|l| l.entries.values().cloned()));
            }
            Ok((self.account_log(token), head))
        }
        .boxed()
    }

    fn unserved(&self, account: AccountId, epoch: Epoch) -> Arc<dyn AccountLog> {
        self.account_log(OwnerToken { account, epoch, served: false })
    }

    fn is_behind(&self) -> bool {
        self.pressed.load(Ordering::SeqCst)
    }

    fn up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }
}

/// One account's part of a [`MemoryLog`].
struct MemoryAccountLog {
    token: OwnerToken,
    log: Arc<MemoryLog>,
}

impl AccountLog for MemoryAccountLog {
    fn token(&self) -> OwnerToken {
        self.token
    }

    fn append(
        &self,
        event: Event,
        completion: Option<CommandCompletion>,
        on_stored: Option<OnStored>,
    ) {
        if self.log.is_dead() {
            return;
        }
        let result = self.log.lock().append(self.token, &event, completion);
        self.log.length.send_modify(|length| *length += 1);
        if let Some(on_stored) = on_stored {
            self.log.tell(Box::new(move || on_stored(result)));
        }
    }

    fn admit(
        &self,
        admission: Admission,
    ) -> BoxFuture<'static, Result<AdmissionVerdict, NotStored>> {
        if self.log.is_dead() {
            return std::future::pending().boxed();
        }
        self.log.asked.send_modify(|asked| *asked += 1);
        let (mut up, mut answers) = (self.log.up.subscribe(), self.log.answers.subscribe());
        let (state, account) = (Arc::clone(&self.log.state), self.token.account);
        async move {
            up.wait_for(|up| *up).await.map_err(|_| NotStored::Closed)?;
            answers.wait_for(|answers| *answers).await.map_err(|_| NotStored::Closed)?;
            let mut state = state.lock().unwrap();
            if state.fenced {
                return Err(FENCED);
            }
            Ok(state.begin(account, admission))
        }
        .boxed()
    }

    fn undo_dispatch(&self, command: CommandId) {
        if self.log.is_dead() {
            return;
        }
        let mut state = self.log.lock();
        let key = (self.token.account, command);
        if let Some(Entry::HandedOver(_, count)) = state.ledger.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                state.ledger.remove(&key);
            }
        }
    }

    fn push_pending(&self, commands: Vec<PendingCommand>, on_pending: OnPending) {
        if self.log.is_dead() {
            return;
        }
        for command in commands {
            self.log.lock().park(self.token.account, command);
        }
        self.log.tell(Box::new(move || on_pending(Ok(()))));
        self.log.length.send_modify(|length| *length += 1);
    }

    fn remove_pending(&self, position: PendingPosition) {
        if !self.log.is_dead() {
            self.log.lock().unpark(self.token.account, Some(position));
            self.log.length.send_modify(|length| *length += 1);
        }
    }

    fn set_head_field(&self, field: HeadField) {
        if self.log.is_dead() {
            return;
        }
        let mut state = self.log.lock();
        // A claim does not tell that the account was logged in: the script has made no database.
        if field == HeadField::Opened {
            state.heads.entry(self.token.account).or_default().opened = Some(self.token.epoch);
        }
        state.notes.entry(self.token.account).or_default().push(field);
    }
}

impl ReplySender for MemoryLog {
    fn reply(&self, command: &Properties, event: Bytes) {
        if !self.is_dead() {
            let event: Value = serde_json::from_slice(&event).unwrap();
            self.lock().replies.push((command.clone(), event["payload"].clone()));
        }
    }
}

fn id(account: i64) -> AccountId {
    AccountId::new(account).unwrap()
}

fn key(account: i64, command: &str) -> (AccountId, CommandId) {
    (id(account), CommandId::new(command).unwrap())
}
