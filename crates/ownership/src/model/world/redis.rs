//! What becomes of the messages, and what Redis does with them.

use super::{Message, Phase, Rec, Request, World, moment};
use crate::model::setting::{Broken, PROCESSES, Setting, TIMES};
use crate::rules::may_renew;

impl World {
    /// What may go wrong.
    pub(super) fn fail(&self, setting: Setting, next: &mut Vec<Self>) {
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
    pub(super) fn travels(&self, at: usize, setting: Setting, next: &mut Vec<Self>) {
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
    fn carry_out(&mut self, request: Request, setting: Setting) -> bool {
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

    fn receive(&mut self, message: Message, done: bool, setting: Setting) {
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
}
