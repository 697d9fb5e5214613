//! What the store keeps of one account, and the rules of the scripts on it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use contracts::{
    Begun, Claimed, CommandId, Digest, Epoch, EventId, Flow, MOST_HAND_OVERS, Note, Parked,
    Purpose, Settle,
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
    Handed { digest: Digest, count: u32, token: Option<Token> },
    Done { digest: Digest, event: EventId, expires: Instant },
}

/// A pending list, and the last place that was ever taken in it.
#[derive(Default)]
struct List {
    entries: BTreeMap<EventId, Parked>,
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
            Act::Begin(asked) => {
                return Verdict::Begun(asked.iter().map(|asked| self.begin(asked)).collect());
            }
            Act::Leave(left) => {
                for (command, token) in left {
                    self.leave(command, *token);
                }
            }
            Act::Park(parked) => {
                parked.iter().flat_map(|all| all.iter()).for_each(|one| self.park(one));
            }
            Act::Unpark(places) => {
                for place in places {
                    self.list(place.flow).entries.remove(&place.id);
                }
            }
            Act::Note(notes) => notes.iter().for_each(|note| self.note(*note)),
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

    fn claimed(&self, pending: bool) -> Claimed {
        let lists = self.pending.iter().filter(|_| pending);
        let pending = lists.flat_map(|list| list.entries.values().cloned()).collect();
        Claimed { last: self.last, pending, opened: self.opened, logged_in: self.logged_in }
    }

    fn store(&mut self, block: &Block, publish: impl Fn(&Stored) -> bool) -> Verdict {
        let mut unheard = 0;
        for entry in &block.entries {
            if self.last < Some(entry.event.id) {
                self.events.push_back((entry.event.clone(), entry.at));
                self.last = Some(entry.event.id);
                unheard += u64::from(!publish(&entry.event));
            }
            if let Some(settle) = &entry.settle {
                self.settle(settle, entry.event.id);
            }
        }
        if let Some(time) = block.drop_before {
            while self.events.pop_front_if(|(_, at)| *at < time).is_some() {}
        }
        self.digest = block.digest;
        Verdict::Stored { unheard }
    }

    fn settle(&mut self, settle: &Settle, event: EventId) {
        let expires = Instant::now() + settle.keep;
        let done = Mark::Done { digest: settle.digest, event, expires };
        self.ledger.insert(settle.command.clone(), done);
        if let Some(place) = settle.parked {
            self.list(place.flow).entries.remove(&place.id);
        }
    }

    fn begin(&mut self, Asked { begin, token }: &Asked) -> Begun {
        let count = match self.mark(&begin.command) {
            None => 0,
            Some(mark) if mark.digest() != begin.digest => return Begun::Conflict,
            Some(Mark::Done { event, .. }) => return Begun::Done(self.event(*event)),
            Some(Mark::Handed { token: Some(theirs), .. }) if theirs == token => return Begun::Go,
            Some(Mark::Handed { count, .. }) => *count,
        };
        match begin.purpose {
            Purpose::Refuse if count == 0 => Begun::Go,
            Purpose::Run { idempotent: true } if MOST_HAND_OVERS <= count => Begun::Poison,
            Purpose::Refuse | Purpose::Run { idempotent: false } if 0 < count => Begun::HandedOver,
            Purpose::Refuse | Purpose::Run { .. } => {
                let (digest, token) = (begin.digest, Some(*token));
                let handed = Mark::Handed { digest, count: count + 1, token };
                self.ledger.insert(begin.command.clone(), handed);
                Begun::Go
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

    fn park(&mut self, parked: &Parked) {
        let done = matches!(self.mark(&parked.command), Some(Mark::Done { .. }));
        let list = self.list(parked.place.flow);
        if !done && list.end < Some(parked.place.id) {
            list.end = Some(parked.place.id);
            list.entries.insert(parked.place.id, parked.clone());
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Opened => self.opened = Some(self.epoch),
            Note::LoggedIn(now) => self.logged_in = now,
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
    fn digest(&self) -> Digest {
        match self {
            Self::Handed { digest, .. } | Self::Done { digest, .. } => *digest,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        matches!(self, Self::Done { expires, .. } if *expires <= now)
    }
}
