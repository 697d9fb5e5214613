//! What the store keeps of one account, and the rules of the scripts on it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use contracts::{CommandId, Epoch, EventId, Flow};
use log_port::{
    AdmissionVerdict, CommandCompletion, CommandFingerprint, HeadField, Intent, LogHead,
    MAX_DISPATCHES, PendingCommand,
};
use tokio::time::Instant;

use crate::store::{Act, Asked, Block, Call, Token, Verdict};
use crate::stored::Stored;

/// Head, log, ledger and pending lists.
pub(super) struct Account {
    epoch: Epoch,
    pub(super) last: Option<EventId>,
    digest: u64,
    opened: Option<Epoch>,
    logged_in: bool,
    /// With the time of each, as Unix time in milliseconds.
    pub(super) events: VecDeque<(Stored, i64)>,
    ledger: HashMap<CommandId, Mark>,
    pending: [List; 2],
    expires: Instant,
    log_expires: Instant,
}

/// How long an act keeps things.
pub(super) struct Keep {
    /// All of the account, without another act.
    pub account: Duration,
    /// The log, without another event.
    pub log: Duration,
}

/// An entry of the ledger.
enum Mark {
    Handed { fingerprint: CommandFingerprint, count: u32, token: Option<Token> },
    Done { fingerprint: CommandFingerprint, event: EventId, expires: Instant },
}

/// A pending list, and the last place that was ever taken in it.
#[derive(Default)]
struct List {
    entries: BTreeMap<EventId, PendingCommand>,
    end: Option<EventId>,
}

impl Account {
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

    /// Drops what has expired; `false` when that is all of it.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        self.ledger.retain(|_, mark| !mark.is_over(now));
        if self.log_expires <= now {
            self.events.clear();
        }
        now < self.expires
    }

    /// Carries an act out. `publish` tells whether anybody heard the event.
    pub(super) fn carry_out(
        &mut self,
        call: &Call,
        keep: &Keep,
        publish: impl Fn(&Stored) -> bool,
    ) -> Verdict {
        if self.epoch > call.epoch {
            return Verdict::Fenced { current: self.epoch };
        }
        let free = matches!(call.act, Act::Claim { .. } | Act::Restore(_));
        if !free && self.last != call.last {
            return self.mismatch(&call.act);
        }
        self.epoch = call.epoch;
        let now = Instant::now();
        self.expires = self.expires.max(now + keep.account);
        if matches!(call.act, Act::Append(_) | Act::Restore(_)) {
            self.log_expires = self.log_expires.max(now + keep.log);
        }
        match &call.act {
            Act::Claim { pending } => return Verdict::Claimed(Box::new(self.claimed(*pending))),
            Act::Append(block) => return self.store(block, publish),
            Act::Restore(block) => {
                self.last = self.last.max(call.last);
                return self.store(block, publish);
            }
            Act::Admit(asked) => {
                return Verdict::Admitted(asked.iter().map(|asked| self.begin(asked)).collect());
            }
            Act::UndoDispatch(left) => {
                for (command, token) in left {
                    self.leave(command, *token);
                }
            }
            Act::PushPending(parked) => {
                parked.iter().flat_map(|all| all.iter()).for_each(|one| self.park(one));
            }
            Act::RemovePending(places) => {
                for place in places {
                    self.list(place.flow).entries.remove(&place.id);
                }
            }
            Act::SetHead(notes) => notes.iter().for_each(|note| self.note(*note)),
        }
        Verdict::Done
    }

    fn mismatch(&self, act: &Act) -> Verdict {
        match act {
            Act::Append(block) if block.last() == self.last && block.digest == self.digest => {
                Verdict::Already
            }
            _ => Verdict::Gap { last: self.last },
        }
    }

    fn claimed(&self, pending: bool) -> LogHead {
        let lists = self.pending.iter().filter(|_| pending);
        let pending = lists.flat_map(|list| list.entries.values().cloned()).collect();
        LogHead { last: self.last, pending, opened: self.opened, logged_in: self.logged_in }
    }

    fn store(&mut self, block: &Block, publish: impl Fn(&Stored) -> bool) -> Verdict {
        let mut unheard = 0;
        for entry in &block.entries {
            if self.last < Some(entry.event.id) {
                self.events.push_back((entry.event.clone(), entry.at));
                self.last = Some(entry.event.id);
                unheard += u64::from(!publish(&entry.event));
            }
            if let Some(completion) = &entry.completion {
                self.settle(completion, entry.event.id);
            }
        }
        if let Some(time) = block.drop_before {
            while self.events.pop_front_if(|(_, at)| *at < time).is_some() {}
        }
        self.digest = block.digest;
        Verdict::Stored { unheard }
    }

    fn settle(&mut self, completion: &CommandCompletion, event: EventId) {
        let expires = Instant::now() + completion.keep;
        let done = Mark::Done { fingerprint: completion.fingerprint, event, expires };
        self.ledger.insert(completion.command.clone(), done);
        if let Some(place) = completion.pending {
            self.list(place.flow).entries.remove(&place.id);
        }
    }

    fn begin(&mut self, Asked { begin, token }: &Asked) -> AdmissionVerdict {
        let count = match self.mark(&begin.command) {
            None => 0,
            Some(mark) if mark.fingerprint() != begin.fingerprint => {
                return AdmissionVerdict::Conflict;
            }
            Some(Mark::Done { event, .. }) => return AdmissionVerdict::Done(self.event(*event)),
            Some(Mark::Handed { token: Some(theirs), .. }) if theirs == token => {
                return AdmissionVerdict::Proceed;
            }
            Some(Mark::Handed { count, .. }) => *count,
        };
        match begin.intent {
            Intent::Refuse if count == 0 => AdmissionVerdict::Proceed,
            Intent::Run { idempotent: true } if MAX_DISPATCHES <= count => AdmissionVerdict::Poison,
            Intent::Refuse | Intent::Run { idempotent: false } if 0 < count => {
                AdmissionVerdict::Dispatched
            }
            Intent::Refuse | Intent::Run { .. } => {
                let (fingerprint, token) = (begin.fingerprint, Some(*token));
                let handed = Mark::Handed { fingerprint, count: count + 1, token };
                self.ledger.insert(begin.command.clone(), handed);
                AdmissionVerdict::Proceed
            }
        }
    }

    fn mark(&self, command: &CommandId) -> Option<&Mark> {
        self.ledger.get(command).filter(|mark| !mark.is_over(Instant::now()))
    }

    fn event(&self, id: EventId) -> Option<bytes::Bytes> {
        let at = self.events.binary_search_by_key(&id, |(event, _)| event.id).ok()?;
        self.events.get(at).map(|(event, _)| event.json.clone())
    }

    fn leave(&mut self, command: &CommandId, left: Token) {
        let Some(Mark::Handed { count, token, .. }) = self.ledger.get_mut(command) else { return };
        if *token != Some(left) {
            return;
        }
        (*count, *token) = (*count - 1, None);
        if *count == 0 {
            self.ledger.remove(command);
        }
    }

    fn park(&mut self, parked: &PendingCommand) {
        let done = matches!(self.mark(&parked.command), Some(Mark::Done { .. }));
        let list = self.list(parked.position.flow);
        if !done && list.end < Some(parked.position.id) {
            list.end = Some(parked.position.id);
            list.entries.insert(parked.position.id, parked.clone());
        }
    }

    fn note(&mut self, note: HeadField) {
        match note {
            HeadField::Opened => self.opened = Some(self.epoch),
            HeadField::LoggedIn(now) => self.logged_in = now,
        }
    }

    fn list(&mut self, flow: Flow) -> &mut List {
        let [hi, lo] = &mut self.pending;
        match flow {
            Flow::Hi => hi,
            Flow::Lo => lo,
        }
    }
}

impl Mark {
    fn fingerprint(&self) -> CommandFingerprint {
        match self {
            Self::Handed { fingerprint, .. } | Self::Done { fingerprint, .. } => *fingerprint,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        matches!(self, Self::Done { expires, .. } if *expires <= now)
    }
}
