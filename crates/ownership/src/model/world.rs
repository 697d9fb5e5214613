//! The states, and what may happen in each.

mod process;
mod redis;

use std::time::Duration;

use super::setting::{Broken, LATE, LONG_AGO, NEVER, PATIENCE, PROCESSES, Setting, TIMES};
use crate::boot_time::BootTime;
use crate::record::Record;

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
    pub(super) fn new(setting: Setting) -> Self {
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

    pub(super) fn successors(&self, setting: Setting) -> Vec<Self> {
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
    fn steps(&self, setting: Setting, next: &mut Vec<Self>) {
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
    fn is_overdue(&self, at: usize, setting: Setting) -> bool {
        let process = &self.processes[at];
        let Phase::Open { age, .. } = process.phase else { return false };
        let watched = !setting.shared_lock && setting.broken != Some(Broken::NoWatchdog);
        watched && moment(age) >= TIMES.ends_at(moment(0))
    }

    fn restart(&mut self, at: usize) {
        let process = &mut self.processes[at];
        process.name += 2; // so that no two processes ever share one
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

    fn waits(&self, at: usize) -> bool {
        self.messages.iter().any(|message| message.is_of(at))
    }

    fn send(&mut self, from: usize, request: Request, due: u8) {
        let awaited = !matches!(request, Request::Free { .. });
        self.messages.push(Message { from, age: 0, request, awaited, answer: None, due });
    }
}

fn lock_name(lock: u8) -> String {
    if lock == 0 { String::new() } else { lock.to_string() }
}

fn moment(step: u8) -> BootTime {
    BootTime(Duration::from_secs(step.into()))
}
