//! The states, and what may happen in each.

use std::time::Duration;

use crate::boot_time::BootTime;
use crate::record::Record;
use crate::rules::{Taker, Times, may_renew, may_take, next_epoch};

/// Steps of a second. A lease of three is to be closed after two, and may be taken after four.
const TIMES: Times = Times { lease: Duration::from_secs(3) };
/// Nothing depends on how much longer ago than that something was.
const LONG_AGO: u8 = 4;
/// So many steps an answer is waited for at most.
const PATIENCE: u8 = 2;
/// So many requests nobody waits for are on their way at most; the others are lost.
const LATE: usize = 2;
/// Of a request that is carried out whenever it comes.
const NEVER: u8 = u8::MAX;
const PROCESSES: usize = 2;

/// What the world is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// The processes see each other's file locks.
    pub(super) shared_lock: bool,
    pub(super) broken: Option<Broken>,
    /// How many faults may happen: crashes, a Redis that forgets all or its last write, a clock that
    /// misses a step.
    pub(super) faults: u8,
    /// How often the shard is opened at most.
    pub(super) openings: u8,
}

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    TakerDoesNotWait,
    OwnerCountsFromTheAnswer,
    NoWatchdog,
    LockOfANetworkDiskIsProof,
    WaitGoesOnAfterAReconnect,
    FreeIsFreeAfterARestart,
    LateRenewalCounts,
    TakeComparesNothing,
    NoFileLock,
    EpochOfTheRecordAlone,
}

/// A shard's record, small enough to keep millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Rec {
    epoch: u8,
    /// 0 while it is free.
    owner: u8,
    beat: u8,
    /// The lock's identity.
    lock: u8,
}

impl Rec {
    fn full(self) -> Record {
        Record {
            epoch: self.epoch.into(),
            owner: if self.owner == 0 { String::new() } else { self.owner.to_string() },
            beat: self.beat.into(),
            store: "store".to_owned(),
            clean: false,
            lock: lock_name(self.lock),
        }
    }
}

/// What a process has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    /// It holds the file's lock and waits for the answer to its take.
    Taking,
    /// The databases are open. The last renewal that counts was sent `age` steps ago.
    Open {
        epoch: u8,
        beat: u8,
        age: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Process {
    /// Another one for each start; never 0.
    name: u8,
    phase: Phase,
    /// The record as it was seen, and how many steps ago for the first time.
    seen: Option<(Option<Rec>, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Request {
    Take { expected: Option<Rec>, record: Rec },
    Renew { record: Rec },
    Free { owner: u8, epoch: u8 },
}

/// A request on its way, or its answer on the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Message {
    from: usize,
    /// Steps since it was sent, by the sender's clock, while that waits for the answer.
    age: u8,
    request: Request,
    /// The sender waits for the answer.
    awaited: bool,
    answer: Option<bool>,
    /// Steps until it is not carried out any more.
    due: u8,
}

impl Message {
    fn is_of(&self, at: usize) -> bool {
        self.from == at && self.awaited
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    record: Option<Rec>,
    /// What Redis has on its disk: the record of a step ago.
    stored: Option<Rec>,
    /// The epoch in the shard's file.
    file: u8,
    processes: [Process; PROCESSES],
    messages: Vec<Message>,
    faults: u8,
    /// Steps since Redis was started.
    up: u8,
    /// A clock has missed a step: as much as the margin allows.
    slowed: bool,
    /// A shard may still be handed over unasked.
    hand_over: bool,
    /// Openings so far, and the epoch of the last one.
    openings: u8,
    epoch: u8,
    wrong: Option<&'static str>,
}

impl World {
    /// The first process has just opened the shard.
    pub(super) fn new(setting: &Setting) -> Self {
        let record = Rec { epoch: 1, owner: 1, beat: 0, lock: setting.lock() };
        let process = |name, phase| Process { name, phase, seen: None };
        Self {
            record: Some(record),
            stored: Some(record),
            file: 1,
            processes: [
                process(1, Phase::Open { epoch: 1, beat: 0, age: 0 }),
                process(2, Phase::Idle),
            ],
            messages: Vec::new(),
            faults: setting.faults,
            up: LONG_AGO,
            slowed: false,
            hand_over: true,
            openings: 1,
            epoch: 1,
            wrong: None,
        }
    }

    pub(super) fn wrong(&self) -> Option<&'static str> {
        self.wrong
    }

    pub(super) fn is_taken_over(&self) -> bool {
        self.openings > 1
    }

    pub(super) fn successors(&self, setting: &Setting) -> Vec<Self> {
        let mut next = Vec::new();
        self.steps(setting, &mut next);
        for at in 0..PROCESSES {
            self.acts(at, setting, &mut next);
        }
        for at in 0..self.messages.len() {
            self.travels(at, setting, &mut next);
        }
        if self.faults > 0 {
            let done = next.len();
            self.fail(setting, &mut next);
            next[done..].iter_mut().for_each(|world| world.faults -= 1);
        }
        for world in &mut next {
            world.tidy();
            world.check();
        }
        next
    }

    /// Makes states alike that differ in what has no consequence.
    fn tidy(&mut self) {
        self.messages.retain(|message| message.awaited || message.due > 0);
        while self.messages.iter().filter(|message| !message.awaited).count() > LATE {
            let oldest = self.messages.iter().position(|message| !message.awaited);
            oldest.map(|oldest| self.messages.remove(oldest));
        }
        self.messages.sort_unstable();
        if self.faults == 0 {
            (self.slowed, self.stored) = (true, None);
        }
        for process in self.processes.iter_mut().filter(|process| process.phase != Phase::Idle) {
            // It looks again before it takes anything.
            process.seen = None;
        }
    }

    fn check(&mut self) {
        let open = |process: &&Process| matches!(process.phase, Phase::Open { .. });
        if self.processes.iter().filter(open).count() > 1 {
            self.wrong = Some("two have it open");
        }
    }

    /// Time goes on, for all or for all but one whose clock is slow.
    fn steps(&self, setting: &Setting, next: &mut Vec<Self>) {
        let slow = if self.faults > 0 && !self.slowed { PROCESSES } else { 0 };
        for slow in std::iter::once(None).chain((0..slow).map(Some)) {
            let mut world = self.clone();
            world.look();
            world.stored = world.record;
            if slow.is_some() {
                world.faults -= 1;
                world.slowed = true;
            }
            world.grow_older(slow);
            for at in 0..PROCESSES {
                if world.messages.iter().any(|message| message.is_of(at) && message.age >= PATIENCE)
                {
                    world.give_up(at);
                }
            }
            for at in 0..PROCESSES {
                if world.is_overdue(at, setting) {
                    world.restart(at);
                }
            }
            next.push(world);
        }
    }

    /// Everybody looks, once in a step: at its end, when something new is as young as it can be.
    fn look(&mut self) {
        for process in &mut self.processes {
            if process.seen.is_none_or(|(seen, _)| seen != self.record) {
                process.seen = Some((self.record, 0));
            }
        }
    }

    fn grow_older(&mut self, slow: Option<usize>) {
        let older = |age: &mut u8| *age = (*age + 1).min(LONG_AGO);
        older(&mut self.up);
        for (at, process) in self.processes.iter_mut().enumerate() {
            if Some(at) == slow {
                continue;
            }
            if let Phase::Open { age, .. } = &mut process.phase {
                older(age);
            }
            if let Some((_, age)) = &mut process.seen {
                older(age);
            }
        }
        for message in &mut self.messages {
            if message.due != NEVER {
                message.due = message.due.saturating_sub(1);
            }
            if message.awaited && Some(message.from) != slow {
                older(&mut message.age);
            }
        }
    }

    /// The watchdog ends the process. On one machine it is not counted on: there a process may be
    /// frozen for ever, or go on for ever.
    fn is_overdue(&self, at: usize, setting: &Setting) -> bool {
        let process = &self.processes[at];
        let Phase::Open { age, .. } = process.phase else { return false };
        let watched = !setting.shared_lock && setting.broken != Some(Broken::NoWatchdog);
        watched && moment(age) >= TIMES.ends_at(moment(0))
    }

    fn restart(&mut self, at: usize) {
        let process = &mut self.processes[at];
        process.name += PROCESSES as u8;
        process.phase = Phase::Idle;
        process.seen = None;
        self.forget_answers(at);
    }

    /// The process does not wait for the answer any more. What was asked may still be carried out;
    /// what was late before is lost now. (One late message of each is enough.)
    fn forget_answers(&mut self, at: usize) {
        let late = |message: &Message| message.awaited && message.answer.is_none();
        self.messages.retain(|message| message.from != at || late(message));
        for message in self.messages.iter_mut().filter(|message| message.from == at) {
            (message.awaited, message.age) = (false, 0);
        }
    }

    /// What a process may do.
    fn acts(&self, at: usize, setting: &Setting, next: &mut Vec<Self>) {
        match self.processes[at].phase {
            Phase::Idle => self.take(at, setting, next),
            Phase::Taking => {}
            Phase::Open { .. } => {
                self.renew(at, setting, next);
                self.release(at, next);
            }
        }
        // The answer may still come, but not be waited for.
        if self.messages.iter().any(|message| message.is_of(at) && message.age > 0) {
            let mut world = self.clone();
            world.give_up(at);
            next.push(world);
        }
    }

    fn take(&self, at: usize, setting: &Setting, next: &mut Vec<Self>) {
        let process = &self.processes[at];
        // What is taken was looked at a moment before.
        let Some((seen, age)) = process.seen.filter(|(seen, _)| *seen == self.record) else {
            return;
        };
        let locks = setting.lock() != 0 && setting.broken != Some(Broken::NoFileLock);
        let locked = self.processes.iter().any(|other| other.phase != Phase::Idle);
        if (setting.shared_lock && locks && locked)
            || self.waits(at)
            || self.openings >= setting.openings
        {
            return;
        }
        let unchanged = match setting.broken {
            Some(Broken::TakerDoesNotWait) => TIMES.wait(),
            _ => Duration::from_secs(age.into()),
        };
        let record = seen.map(Rec::full);
        let proof = lock_name(if locks { setting.lock() } else { 0 });
        let steady = moment(self.up) >= moment(0).after(TIMES.wait())
            || setting.broken == Some(Broken::FreeIsFreeAfterARestart);
        let taker = Taker { store: "store", lock: &proof, steady };
        if !may_take(record.as_ref(), taker, unchanged, TIMES) {
            return;
        }
        let file =
            if setting.broken == Some(Broken::EpochOfTheRecordAlone) { 0 } else { self.file };
        let epoch = next_epoch(record.as_ref(), file.into(), 0);
        let epoch = u8::try_from(epoch).expect("few openings");
        let taken = Rec { epoch, owner: process.name, beat: 0, lock: setting.lock() };
        let mut world = self.clone();
        world.processes[at].phase = Phase::Taking;
        world.send(at, Request::Take { expected: seen, record: taken }, NEVER);
        next.push(world);
    }

    fn renew(&self, at: usize, setting: &Setting, next: &mut Vec<Self>) {
        let process = &self.processes[at];
        let Phase::Open { epoch, beat, age } = process.phase else { return };
        if self.waits(at) || beat >= 1 || age == 0 {
            return;
        }
        let record = Rec { epoch, owner: process.name, beat: beat + 1, lock: setting.lock() };
        let mut world = self.clone();
        world.processes[at].phase = Phase::Open { epoch, beat: beat + 1, age };
        // By the answer before. A process that is late looks once more and has all the time again.
        let lease = u8::try_from(TIMES.lease.as_secs()).expect("a few steps");
        let left = if age < lease { lease - age } else { lease };
        let due = if setting.broken == Some(Broken::LateRenewalCounts) { NEVER } else { left };
        world.send(at, Request::Renew { record }, due);
        next.push(world);
    }

    /// Closed and unlocked; Redis hears of it at some time, or never.
    fn release(&self, at: usize, next: &mut Vec<Self>) {
        let Phase::Open { epoch, age, .. } = self.processes[at].phase else { return };
        let late = moment(age) >= TIMES.closes_at(moment(0));
        if !late && !self.hand_over {
            return;
        }
        let mut world = self.clone();
        world.hand_over &= late;
        world.forget_answers(at);
        world.processes[at].phase = Phase::Idle;
        let owner = world.processes[at].name;
        world.send(at, Request::Free { owner, epoch }, NEVER);
        next.push(world);
    }

    fn give_up(&mut self, at: usize) {
        self.forget_answers(at);
        if self.processes[at].phase == Phase::Taking {
            self.processes[at].phase = Phase::Idle;
        }
    }

    /// What may go wrong.
    fn fail(&self, setting: &Setting, next: &mut Vec<Self>) {
        for at in 0..PROCESSES {
            let mut world = self.clone();
            world.restart(at);
            next.push(world);
        }
        let mut world = self.clone();
        (world.record, world.stored) = (None, None);
        next.push(world);
        let mut world = self.clone();
        world.record = self.stored;
        // Redis has restarted: what was on its way to it is lost, and whoever looks begins anew.
        world.messages.retain(|message| message.answer.is_some());
        world.up = 0;
        for at in 0..PROCESSES {
            if world.processes[at].phase == Phase::Taking && !world.waits(at) {
                world.processes[at].phase = Phase::Idle;
            }
        }
        if setting.broken != Some(Broken::WaitGoesOnAfterAReconnect) {
            world.processes.iter_mut().for_each(|process| process.seen = None);
        }
        next.push(world);
    }

    /// A message gets one stop further. One that never does is lost.
    fn travels(&self, at: usize, setting: &Setting, next: &mut Vec<Self>) {
        let mut world = self.clone();
        let message = world.messages.remove(at);
        if let Some(done) = message.answer {
            world.receive(message, done, setting);
        } else {
            let done = message.due > 0 && world.carry_out(message.request, setting);
            if message.awaited {
                world.messages.push(Message { answer: Some(done), ..message });
            }
        }
        next.push(world);
    }

    /// What the scripts do.
    fn carry_out(&mut self, request: Request, setting: &Setting) -> bool {
        let known = self.record.map(Rec::full);
        let written = match request {
            Request::Take { expected, record } => {
                let same = expected == self.record;
                (same || setting.broken == Some(Broken::TakeComparesNothing)).then_some(record)
            }
            Request::Renew { record } => {
                let owner = record.owner.to_string();
                may_renew(known.as_ref(), &owner, record.epoch.into()).then_some(record)
            }
            Request::Free { owner, epoch } => self
                .record
                .filter(|known| known.owner == owner && known.epoch == epoch)
                .map(|known| Rec { owner: 0, beat: known.beat + 1, ..known }),
        };
        if let Some(record) = written {
            self.tell_apart(record);
            self.record = Some(record);
        }
        written.is_some()
    }

    /// Beats begin with the time, so that no two records are alike, though here they may look so:
    /// whoever knows an earlier one like this does not take this for it.
    fn tell_apart(&mut self, record: Rec) {
        for process in &mut self.processes {
            process.seen = process.seen.filter(|(seen, _)| *seen != Some(record));
        }
        for message in &mut self.messages {
            if let Request::Take { expected, .. } = message.request
                && expected == Some(record)
            {
                message.due = 0;
            }
        }
    }

    fn receive(&mut self, message: Message, done: bool, setting: &Setting) {
        let process = &mut self.processes[message.from];
        let age = match setting.broken {
            Some(Broken::OwnerCountsFromTheAnswer) => 0,
            _ => message.age,
        };
        match (message.request, process.phase) {
            (Request::Take { record, .. }, Phase::Taking) if done => {
                // An answer that comes when the lease is over already opens nothing.
                if moment(age) >= TIMES.closes_at(moment(0)) {
                    process.phase = Phase::Idle;
                    return;
                }
                process.phase = Phase::Open { epoch: record.epoch, beat: 0, age };
                self.file = record.epoch;
                self.openings += 1;
                if record.epoch <= self.epoch {
                    self.wrong = Some("the epoch does not grow");
                }
                self.epoch = record.epoch;
            }
            (Request::Take { .. }, Phase::Taking) => process.phase = Phase::Idle,
            (Request::Renew { .. }, Phase::Open { epoch, beat, .. }) if done => {
                process.phase = Phase::Open { epoch, beat, age };
            }
            _ => {}
        }
    }

    fn waits(&self, at: usize) -> bool {
        self.messages.iter().any(|message| message.is_of(at))
    }

    fn send(&mut self, from: usize, request: Request, due: u8) {
        let awaited = !matches!(request, Request::Free { .. });
        self.messages.push(Message { from, age: 0, request, awaited, answer: None, due });
    }
}

impl Setting {
    /// Identity of the shard's lock; 0 when it has none.
    fn lock(&self) -> u8 {
        let proof = self.broken == Some(Broken::LockOfANetworkDiskIsProof);
        u8::from(self.shared_lock || proof)
    }
}

fn lock_name(lock: u8) -> String {
    if lock == 0 { String::new() } else { lock.to_string() }
}

fn moment(step: u8) -> BootTime {
    BootTime(Duration::from_secs(step.into()))
}
