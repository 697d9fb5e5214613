use std::collections::VecDeque;

use jiff::Timestamp;

use crate::commands::Access;
use crate::job::QueuedCommand;

/// Queued and running commands of one account and flow, in order: a write runs alone, reads run in
/// parallel between writes.
#[derive(Default)]
pub(super) struct Lane {
    waiting: VecDeque<QueuedCommand>,
    reads: usize,
    writing: bool,
    /// New commands are written to the pending list at once, until the lane is empty.
    pub(super) uses_pending_list: bool,
}

/// How many commands may wait in a lane.
const CAPACITY: usize = 10_000;

impl Lane {
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= CAPACITY
    }

    pub(super) fn push(&mut self, command: QueuedCommand) {
        self.waiting.push_back(command);
    }

    /// The first command that waits, if it may run in parallel with what is running.
    pub(super) fn front(&self) -> Option<&QueuedCommand> {
        let command = self.waiting.front()?;
        let free = match command.entry.lane {
            Access::Read => !self.writing,
            Access::Write => !self.writing && self.reads == 0,
        };
        free.then_some(command)
    }

    /// Records that the account is opened again for the first command that waits.
    pub(super) fn mark_reopened(&mut self) {
        if let Some(command) = self.waiting.front_mut() {
            command.reopened = true;
        }
    }

    /// Removes the first command that waits; it does not count as running.
    pub(super) fn pop(&mut self) -> Option<QueuedCommand> {
        self.waiting.pop_front()
    }

    /// Counts a command as running.
    pub(super) fn start(&mut self, access: Access) {
        match access {
            Access::Read => self.reads += 1,
            Access::Write => self.writing = true,
        }
    }

    /// Counts a command as ended.
    pub(super) fn end(&mut self, access: Access) {
        match access {
            Access::Read => self.reads = self.reads.saturating_sub(1),
            Access::Write => self.writing = false,
        }
    }

    /// How many reads run.
    pub(super) fn reads_in_flight(&self) -> usize {
        self.reads
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.is_idle()
    }

    /// Whether nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.reads == 0 && !self.writing
    }

    /// Removes the commands whose deadline has passed.
    pub(super) fn take_expired(&mut self, now: Timestamp) -> Vec<QueuedCommand> {
        let (expired, waiting) =
            self.waiting.drain(..).partition(|command| command.answer.deadline <= now);
        self.waiting = waiting;
        Vec::from_iter::<VecDeque<QueuedCommand>>(expired)
    }

    /// Drops all commands that wait: they are left to redelivery.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
