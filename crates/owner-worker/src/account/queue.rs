use std::time::Duration;

use contracts::{EventId, Flow};
use jiff::Timestamp;
use log_port::{PendingCommand, PendingPosition};
use tokio::sync::watch;
use tokio::time::Instant;

use super::lane::Lane;
use super::pending::PendingLists;
use crate::commands::Access;
use crate::failure::Failure;
use crate::job::{QueuedCommand, Rejection, Work};
use crate::worker_context::WorkerContext;

/// How often the queue is searched for expired and slow commands.
const SWEEP: Duration = Duration::from_millis(500);

/// An account's commands, queued and running: a lane per flow, each with its pending list.
pub(super) struct CommandQueue {
    lanes: [Lane; 2],
    pending: PendingLists,
    /// Number of the last position that was assigned.
    last_position: u64,
    next_sweep: Instant,
}

impl CommandQueue {
    pub(super) fn new(pending: PendingLists) -> Self {
        let lanes = Default::default();
        Self { lanes, pending, last_position: 0, next_sweep: Instant::now() }
    }

    /// Queues the commands that earlier owners left in the pending lists, before anything else is
    /// queued. Returns those that fail their checks.
    pub(super) fn restore(
        &mut self,
        commands: Vec<PendingCommand>,
        shared: &WorkerContext,
    ) -> Vec<Rejection> {
        let mut rejections = Vec::new();
        for command in commands {
            let PendingPosition { flow, id } = command.position;
            if id.epoch == self.pending.epoch() {
                self.last_position = self.last_position.max(id.n);
            }
            match self.pending.restore(command, shared) {
                Some(Work::Run(command)) => {
                    let lane = self.lane(flow);
                    lane.push(command);
                    lane.uses_pending_list = true;
                }
                Some(Work::Reject(rejection)) => rejections.push(rejection),
                None => {}
            }
        }
        rejections
    }

    /// Appends a command to its lane, and to the pending list if the lane uses it. Rejects it if
    /// the lane is full.
    pub(super) fn push(
        &mut self,
        command: QueuedCommand,
        log_up: &watch::Receiver<bool>,
    ) -> Option<Rejection> {
        if self.is_empty() {
            self.next_sweep = Instant::now() + SWEEP;
        }
        let flow = command.flow;
        if self.lane(flow).is_full() {
            return Some(command.reject(Failure::busy()));
        }
        self.last_position += 1;
        let id = EventId { epoch: self.pending.epoch(), n: self.last_position };
        command.answer.guard.set_queued(PendingPosition { flow, id });
        let lane = self.lane(flow);
        lane.uses_pending_list &= !lane.is_empty();
        let pending = lane.uses_pending_list.then(|| command.answer.guard.take_queued()).flatten();
        lane.push(command);
        if let Some(pending) = pending {
            self.pending.push(vec![pending], log_up);
        }
        None
    }

    /// The next command of a flow, if it may run in parallel with what is running.
    pub(super) fn front(&self, flow: Flow) -> Option<&QueuedCommand> {
        self.lanes[index(flow)].front()
    }

    /// Records that the account is opened again for the next command of a flow.
    pub(super) fn mark_reopened(&mut self, flow: Flow) {
        self.lane(flow).mark_reopened();
    }

    /// Removes the next command of a flow without running it.
    pub(super) fn pop(&mut self, flow: Flow) -> Option<QueuedCommand> {
        self.lane(flow).pop()
    }

    /// Removes the next command of a flow and counts it as running until [`Self::end`].
    pub(super) fn start(&mut self, flow: Flow) -> Option<QueuedCommand> {
        let lane = self.lane(flow);
        let command = lane.pop()?;
        lane.start(command.entry.lane);
        Some(command)
    }

    /// Counts a command as ended.
    pub(super) fn end(&mut self, flow: Flow, access: Access) {
        self.lane(flow).end(access);
    }

    /// When to call [`Self::take_expired`] and [`Self::push_slow`] next; `None` while nothing is
    /// queued.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        (!self.is_empty()).then_some(self.next_sweep)
    }

    /// Removes the commands whose deadline has passed.
    pub(super) fn take_expired(&mut self, now: Timestamp) -> Vec<QueuedCommand> {
        self.next_sweep = Instant::now() + SWEEP;
        self.lanes.iter_mut().flat_map(|lane| lane.take_expired(now)).collect()
    }

    /// Writes the commands of slow lanes to their pending lists.
    pub(super) fn push_slow(&mut self, now: Timestamp, log_up: &watch::Receiver<bool>) {
        for flow in Flow::ALL {
            if self.pending.is_slow(flow, now) {
                self.lane(flow).uses_pending_list = true;
                self.pending.push_queued(flow, log_up);
            }
        }
    }

    /// Writes the pending lists again: Redis may have lost what it had before it went down.
    pub(super) fn push_again(&self, log_up: &watch::Receiver<bool>) {
        self.pending.push_again(log_up);
    }

    /// Whether nothing waits and nothing runs.
    fn is_empty(&self) -> bool {
        self.lanes.iter().all(Lane::is_empty)
    }

    /// How many reads run, in both flows.
    pub(super) fn reads_in_flight(&self) -> usize {
        self.lanes.iter().map(Lane::reads_in_flight).sum()
    }

    /// Whether nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.lanes.iter().all(Lane::is_idle)
    }

    /// Drops all commands that wait: they are left to redelivery.
    pub(super) fn clear(&mut self) {
        self.lanes.iter_mut().for_each(Lane::clear);
    }

    fn lane(&mut self, flow: Flow) -> &mut Lane {
        &mut self.lanes[index(flow)]
    }
}

fn index(flow: Flow) -> usize {
    match flow {
        Flow::Hi => 0,
        Flow::Lo => 1,
    }
}
