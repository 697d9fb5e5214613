use std::collections::VecDeque;

use jiff::Timestamp;

use super::Job;
use crate::commands::Access as Kind;

/// Commands of one account and flow, in their order: a write runs alone, reads run beside each
/// other between writes.
#[derive(Default)]
pub(super) struct Lane {
    waiting: VecDeque<Job>,
    reads: usize,
    writing: bool,
    /// What comes is put into the pending list at once, unless nothing is left in the lane.
    pub(super) parking: bool,
}

/// Commands that may wait in one lane.
const CAPACITY: usize = 10_000;

impl Lane {
    /// Whether no more commands are taken on.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= CAPACITY
    }

    /// Puts a command last.
    pub(super) fn push(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// The command whose turn it is, if it may run beside what runs already.
    pub(super) fn front(&self) -> Option<&Job> {
        let job = self.waiting.front()?;
        let free = match job.entry.lane {
            Kind::Read => !self.writing,
            Kind::Write => !self.writing && self.reads == 0,
        };
        free.then_some(job)
    }

    /// Takes the command whose turn it is; it does not count as running.
    pub(super) fn pop(&mut self) -> Option<Job> {
        self.waiting.pop_front()
    }

    /// Notes that a command of that kind has begun.
    pub(super) fn begun(&mut self, kind: Kind) {
        match kind {
            Kind::Read => self.reads += 1,
            Kind::Write => self.writing = true,
        }
    }

    /// Notes that a command of that kind has ended.
    pub(super) fn ended(&mut self, kind: Kind) {
        match kind {
            Kind::Read => self.reads = self.reads.saturating_sub(1),
            Kind::Write => self.writing = false,
        }
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_still(&self) -> bool {
        self.waiting.is_empty() && self.is_idle()
    }

    /// Whether nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.reads == 0 && !self.writing
    }

    /// Takes out the commands whose deadline has passed.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Job> {
        let (expired, waiting) = self.waiting.drain(..).partition(|job| job.case.deadline <= now);
        self.waiting = waiting;
        Vec::from_iter::<VecDeque<Job>>(expired)
    }

    /// Drops all that waits: it is left to redelivery.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
