//! The commands that are under way here, by id: a copy of one joins it, and is told the same.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use contracts::{AccountId, CommandId, Flow, Properties, RoutingKey};
use jiff::Timestamp;
use log_port::{CommandFingerprint, PendingCommand, PendingPosition};

use crate::ports::{OnOutcome, Outcome, Replies};

/// A message as it came.
pub(crate) struct Letter {
    pub(crate) body: Bytes,
    pub(crate) key: Option<RoutingKey>,
    pub(crate) properties: Properties,
}

/// See the module. A command is in here from its arrival until its answer is in the log, or until it
/// is dropped undone.
pub(crate) struct Copies {
    replies: Arc<dyn Replies>,
    under_way: Mutex<HashMap<(AccountId, CommandId), UnderWay>>,
}

struct UnderWay {
    fingerprint: CommandFingerprint,
    letter: Letter,
    arrived: Timestamp,
    place: Standing,
    /// Its answer is on its way into the log.
    answered: bool,
    /// It was dropped here on its way into the pending list: whoever waits is told that it is there.
    dropped: bool,
    /// Whoever waits for the outcome: the first, and the copies that joined.
    first: Option<OnOutcome>,
    joined: Vec<OnOutcome>,
}

/// Where a command stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In no lane: it is being refused.
    Nowhere,
    /// In its lane; its message is still RabbitMQ's.
    Lane(PendingPosition),
    /// It is to be in the pending list.
    Parking(PendingPosition),
    /// It is in the pending list; RabbitMQ has let go of its message.
    PendingCommand(PendingPosition),
}

/// What a message is to the commands under way.
pub(crate) enum Entered {
    /// A new one.
    First(Ticket),
    /// A copy; it is told what the first is told.
    Joined,
    /// One with the id of another; its submitter is still to be told.
    Conflict(OnOutcome),
}

/// A command under way. Dropped untold, so are all who wait for it, but for what is on its way into
/// the pending list.
pub(crate) struct Ticket {
    copies: Arc<Copies>,
    key: (AccountId, CommandId),
    fingerprint: CommandFingerprint,
    told: bool,
}

impl Copies {
    pub(crate) fn new(replies: Arc<dyn Replies>) -> Arc<Self> {
        Arc::new(Self { replies, under_way: Mutex::default() })
    }

    /// Takes a message in. `done` is `None` for one that RabbitMQ has let go of already.
    pub(crate) fn enter(
        self: &Arc<Self>,
        key: (AccountId, CommandId),
        fingerprint: CommandFingerprint,
        (letter, arrived): (Letter, Timestamp),
        done: Option<OnOutcome>,
    ) -> Entered {
        let mut under_way = self.lock();
        let Some(first) = under_way.get_mut(&key) else {
            let place = Standing::Nowhere;
            let entry = UnderWay {
                fingerprint,
                letter,
                arrived,
                place,
                answered: false,
                dropped: false,
                first: done,
                joined: Vec::new(),
            };
            under_way.insert(key.clone(), entry);
            return Entered::First(Ticket {
                copies: Arc::clone(self),
                key,
                fingerprint,
                told: false,
            });
        };
        let Some(done) = done else { return Entered::Joined };
        if first.fingerprint != fingerprint {
            return Entered::Conflict(done);
        }
        if !matches!(first.place, Standing::PendingCommand(_)) {
            first.joined.push(done);
            return Entered::Joined;
        }
        drop(under_way);
        done(Outcome::PendingCommand);
        Entered::Joined
    }

    /// Whether a command of this flow came at `since` or before, is in no pending list, and has no
    /// answer yet.
    pub(crate) fn is_slow(&self, flow: Flow, since: Timestamp) -> bool {
        let late = |entry: &UnderWay| entry.arrived <= since && !entry.answered;
        let stands =
            |entry: &UnderWay| matches!(entry.place, Standing::Lane(place) if place.flow == flow);
        self.lock().values().any(|entry| late(entry) && stands(entry))
    }

    /// The commands of one flow that stand in its lane alone, in their order. From now on they
    /// count as parked, but for their messages; see [`Copies::stored`].
    pub(crate) fn park(&self, flow: Flow) -> Vec<PendingCommand> {
        self.parked(|place| {
            let Standing::Lane(at) = *place else { return None };
            (at.flow == flow).then(|| *place = Standing::Parking(at)).map(|()| at)
        })
    }

    /// All that are to be in the pending lists, in their order.
    pub(crate) fn park_again(&self) -> Vec<PendingCommand> {
        self.parked(|place| match *place {
            Standing::Parking(at) | Standing::PendingCommand(at) => Some(at),
            Standing::Nowhere | Standing::Lane(_) => None,
        })
    }

    fn parked(
        &self,
        mut which: impl FnMut(&mut Standing) -> Option<PendingPosition>,
    ) -> Vec<PendingCommand> {
        let mut under_way = self.lock();
        let open = under_way.iter_mut().filter(|(_, entry)| !entry.answered && !entry.dropped);
        let mut parked: Vec<_> = open
            .filter_map(|((_, id), entry)| {
                let place = which(&mut entry.place)?;
                Some(entry.letter.parked(place, id.clone()))
            })
            .collect();
        parked.sort_unstable_by_key(|parked| parked.position.id);
        parked
    }

    /// Notes that these are in the pending list: RabbitMQ can let go of their messages.
    pub(crate) fn stored(&self, account: AccountId, parked: Vec<(CommandId, PendingPosition)>) {
        let mut told = Vec::new();
        let mut under_way = self.lock();
        for (id, place) in parked {
            let key = (account, id);
            let Some(entry) = under_way.get_mut(&key) else { continue };
            if [Standing::Parking(place), Standing::PendingCommand(place)].contains(&entry.place) {
                entry.place = Standing::PendingCommand(place);
                told.extend(entry.first.take());
                told.append(&mut entry.joined);
                if entry.dropped {
                    under_way.remove(&key);
                }
            }
        }
        drop(under_way);
        for done in told {
            done(Outcome::PendingCommand);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(AccountId, CommandId), UnderWay>> {
        runtime::lock(&self.under_way)
    }
}

impl Ticket {
    pub(crate) fn command(&self) -> &CommandId {
        &self.key.1
    }

    pub(crate) fn fingerprint(&self) -> CommandFingerprint {
        self.fingerprint
    }

    /// Notes where the command stands: in its lane, or in the pending list already.
    pub(crate) fn stand(&self, place: PendingPosition, parked: bool) {
        if let Some(entry) = self.copies.lock().get_mut(&self.key) {
            entry.place =
                if parked { Standing::PendingCommand(place) } else { Standing::Lane(place) };
        }
    }

    /// Notes that the command stands in its lane no more: it is being refused.
    pub(crate) fn step_out(&self) {
        if let Some(entry) = self.copies.lock().get_mut(&self.key)
            && let Standing::Lane(_) = entry.place
        {
            entry.place = Standing::Nowhere;
        }
    }

    /// Puts the command, which stands in its lane, into the pending list as well.
    pub(crate) fn park(&self) -> Option<PendingCommand> {
        let mut under_way = self.copies.lock();
        let entry = under_way.get_mut(&self.key)?;
        let Standing::Lane(place) = entry.place else { return None };
        entry.place = Standing::Parking(place);
        Some(entry.letter.parked(place, self.key.1.clone()))
    }

    /// Notes that the answer goes to the log now, and gives the place in the pending list that the
    /// command leaves with it.
    pub(crate) fn answering(&self) -> Option<PendingPosition> {
        let mut under_way = self.copies.lock();
        let entry = under_way.get_mut(&self.key)?;
        entry.answered = true;
        match entry.place {
            Standing::Parking(place) | Standing::PendingCommand(place) => Some(place),
            Standing::Nowhere | Standing::Lane(_) => None,
        }
    }

    /// Tells all who wait. Where RabbitMQ has let go of the message, the answer goes out as its reply.
    pub(crate) fn tell(mut self, outcome: Outcome) {
        self.told = true;
        let Some(mut entry) = self.copies.lock().remove(&self.key) else { return };
        if let (Standing::PendingCommand(_), Outcome::Answered(event)) = (entry.place, &outcome) {
            self.copies.replies.reply(&entry.letter.properties, event.clone());
        }
        for done in mem::take(&mut entry.joined) {
            done(outcome.clone());
        }
        if let Some(first) = entry.first.take() {
            first(outcome);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let mut under_way = self.copies.lock();
        if let Some(entry) = under_way.get_mut(&self.key)
            && let Standing::Parking(_) = entry.place
        {
            entry.dropped = true;
            return;
        }
        let untold = under_way.remove(&self.key);
        drop(under_way);
        drop(untold);
    }
}

impl Letter {
    fn parked(&self, place: PendingPosition, command: CommandId) -> PendingCommand {
        PendingCommand {
            position: place,
            command,
            body: self.body.clone(),
            routing_key: self.key.as_ref().map(ToString::to_string).unwrap_or_default(),
            properties: self.properties.clone(),
        }
    }
}
