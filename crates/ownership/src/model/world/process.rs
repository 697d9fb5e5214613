//! What a process may do.

use std::time::Duration;

use super::{Phase, Rec, Request, World, lock_name, moment};
use crate::model::setting::{Broken, NEVER, Setting, TIMES};
use crate::rules::{Taker, may_take, next_epoch};

impl World {
    /// What a process may do.
    pub(super) fn acts(&self, at: usize, setting: Setting, next: &mut Vec<Self>) {
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

    fn take(&self, at: usize, setting: Setting, next: &mut Vec<Self>) {
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
        let own = Rec { epoch, owner: process.name, beat: 0, lock: setting.lock() };
        let mut world = self.clone();
        world.processes[at].phase = Phase::Taking;
        world.send(at, Request::Take { expected: seen, record: own }, NEVER);
        next.push(world);
    }

    fn renew(&self, at: usize, setting: Setting, next: &mut Vec<Self>) {
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

    pub(super) fn give_up(&mut self, at: usize) {
        self.forget_answers(at);
        if self.processes[at].phase == Phase::Taking {
            self.processes[at].phase = Phase::Idle;
        }
    }
}
