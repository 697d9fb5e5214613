//! A state of the model: two processes, the record in Redis, and the messages on their way.

use std::time::Duration;

use super::config::{MAX_ABANDONED, MAX_AGE, ModelConfig, PROCESSES};
use crate::boot_time::BootTime;
use crate::record::ShardRecord;

/// A shard's record, small enough to keep millions of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CompactRecord {
    pub(super) epoch: u8,
    /// 0 while the shard is free.
    pub(super) owner: u8,
    pub(super) heartbeat: u8,
    /// The identity of the file lock.
    pub(super) lock: u8,
}

impl CompactRecord {
    pub(super) fn expand(self) -> ShardRecord {
        ShardRecord {
            epoch: self.epoch.into(),
            owner: if self.owner == 0 { String::new() } else { self.owner.to_string() },
            heartbeat: self.heartbeat.into(),
            store: "store".to_owned(),
            clean: false,
            lock: lock_identity(self.lock),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ProcessPhase {
    Idle,
    /// It holds the file's lock and waits for the answer to its request.
    Acquiring,
    /// The databases are open. The last accepted renewal was sent `age` steps ago.
    Open {
        epoch: u8,
        heartbeat: u8,
        age: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ModelProcess {
    /// Different for each start; never 0.
    pub(super) name: u8,
    pub(super) phase: ProcessPhase,
    /// The record as it was last observed, and how many steps ago it was first seen so.
    pub(super) seen: Option<(Option<CompactRecord>, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ModelRequest {
    Acquire { expected: Option<CompactRecord>, record: CompactRecord },
    Renew { record: CompactRecord },
    Free { owner: u8, epoch: u8 },
}

/// A request on its way, or its answer on the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ModelMessage {
    pub(super) from: usize,
    /// Steps since it was sent, by the sender's clock, as long as the sender waits for the answer.
    pub(super) age: u8,
    pub(super) request: ModelRequest,
    /// The sender waits for the answer.
    pub(super) awaited: bool,
    pub(super) answer: Option<bool>,
    /// Steps until Redis no longer applies it.
    pub(super) expires_in: u8,
}

impl ModelMessage {
    pub(super) fn is_awaited_by(&self, at: usize) -> bool {
        self.from == at && self.awaited
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ModelState {
    pub(super) record: Option<CompactRecord>,
    /// What Redis has on its disk: the record of a step ago.
    pub(super) stored: Option<CompactRecord>,
    /// The epoch in the shard's file.
    pub(super) file: u8,
    pub(super) processes: [ModelProcess; PROCESSES],
    pub(super) messages: Vec<ModelMessage>,
    /// How many more faults may happen.
    pub(super) faults: u8,
    /// Steps since Redis was started.
    pub(super) uptime: u8,
    /// A clock has missed a step: as much as the margin allows.
    pub(super) slowed: bool,
    /// A shard may still be handed over without need.
    pub(super) may_hand_over: bool,
    /// How often the shard has been opened, and the epoch of the last opening.
    pub(super) openings: u8,
    pub(super) epoch: u8,
    /// The invariant that this state breaks.
    pub(super) violation: Option<&'static str>,
}

impl ModelState {
    /// The first process has just opened the shard.
    pub(super) fn new(config: ModelConfig) -> Self {
        let record = CompactRecord { epoch: 1, owner: 1, heartbeat: 0, lock: config.lock() };
        let process = |name, phase| ModelProcess { name, phase, seen: None };
        Self {
            record: Some(record),
            stored: Some(record),
            file: 1,
            processes: [
                process(1, ProcessPhase::Open { epoch: 1, heartbeat: 0, age: 0 }),
                process(2, ProcessPhase::Idle),
            ],
            messages: Vec::new(),
            faults: config.faults,
            uptime: MAX_AGE,
            slowed: false,
            may_hand_over: true,
            openings: 1,
            epoch: 1,
            violation: None,
        }
    }

    /// Makes states equal that differ only in ways without consequence.
    pub(super) fn normalize(&mut self) {
        self.messages.retain(|message| message.awaited || message.expires_in > 0);
        while self.messages.iter().filter(|message| !message.awaited).count() > MAX_ABANDONED {
            let oldest = self.messages.iter().position(|message| !message.awaited);
            oldest.map(|oldest| self.messages.remove(oldest));
        }
        self.messages.sort_unstable();
        if self.faults == 0 {
            (self.slowed, self.stored) = (true, None);
        }
        let busy = |process: &&mut ModelProcess| process.phase != ProcessPhase::Idle;
        for process in self.processes.iter_mut().filter(busy) {
            // It observes again before it acquires anything.
            process.seen = None;
        }
    }

    pub(super) fn check(&mut self) {
        let open = |process: &&ModelProcess| matches!(process.phase, ProcessPhase::Open { .. });
        if self.processes.iter().filter(open).count() > 1 {
            self.violation = Some("two processes have the shard open");
        }
    }

    pub(super) fn is_waiting(&self, at: usize) -> bool {
        self.messages.iter().any(|message| message.is_awaited_by(at))
    }

    pub(super) fn send(&mut self, from: usize, request: ModelRequest, expires_in: u8) {
        let awaited = !matches!(request, ModelRequest::Free { .. });
        let message = ModelMessage { from, age: 0, request, awaited, answer: None, expires_in };
        self.messages.push(message);
    }

    /// The process stops waiting for an answer.
    pub(super) fn give_up(&mut self, at: usize) {
        self.forget_answers(at);
        if self.processes[at].phase == ProcessPhase::Acquiring {
            self.processes[at].phase = ProcessPhase::Idle;
        }
    }

    pub(super) fn restart(&mut self, at: usize) {
        let process = &mut self.processes[at];
        process.name += 2; // so that no two processes ever share one
        process.phase = ProcessPhase::Idle;
        process.seen = None;
        self.forget_answers(at);
    }

    /// The process no longer waits for its answer. The request may still be applied. Requests that
    /// were abandoned before are lost now: one late message of each process is enough.
    pub(super) fn forget_answers(&mut self, at: usize) {
        let late = |message: &ModelMessage| message.awaited && message.answer.is_none();
        self.messages.retain(|message| message.from != at || late(message));
        for message in self.messages.iter_mut().filter(|message| message.from == at) {
            (message.awaited, message.age) = (false, 0);
        }
    }
}

pub(super) fn lock_identity(lock: u8) -> String {
    if lock == 0 { String::new() } else { lock.to_string() }
}

pub(super) fn moment(step: u8) -> BootTime {
    BootTime(Duration::from_secs(step.into()))
}
