//! The writer's state of one account.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use contracts::{AccountId, Epoch, EventId};
use log_port::{AdmissionVerdict, Intent, LogHead, NotStored, OwnerToken};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::store::{EventBatch, StoreOperation, StoreRequest};
use crate::writer::metrics::WriterMetrics;
use crate::writer::replay::DispatchRecord;
use crate::writer::task::{WriterTask, finish_claim};
use crate::writer::task_batch::{BATCH_SIZE, TaskBatch};

pub(super) struct WriterAccount {
    /// The epoch that the log is claimed for, and where the log ends; `None` until claimed.
    pub head: Option<(Epoch, Option<EventId>)>,
    /// The largest id in the log, if no worker wrote that entry.
    pub occupied: Option<EventId>,
    pub waiting: VecDeque<(OwnerToken, WriterTask)>,
    /// What the store was sent beside events, under the epoch of `head`.
    pub dispatches: DispatchRecord,
    /// The store has lost events.
    pub lag: Option<LogLag>,
    pub retry: RetryState,
    /// It is in the list of accounts with work waiting.
    pub listed: bool,
    /// Whether a worker runs it.
    pub served: bool,
    /// When old events were last dropped, or the account was first seen.
    pub trimmed: Instant,
}

/// Where the store's log ends, which is before the last event that it has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogLag(pub Option<EventId>);

/// Whether the store refused the account's last request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RetryState {
    #[default]
    NotNeeded,
    /// It did; the request waits for the next tick.
    Waiting,
    /// It did, and the request is being retried.
    Retrying,
}

impl Default for WriterAccount {
    fn default() -> Self {
        Self {
            head: None,
            occupied: None,
            waiting: VecDeque::new(),
            dispatches: DispatchRecord::default(),
            lag: None,
            retry: RetryState::NotNeeded,
            listed: false,
            served: false,
            trimmed: Instant::now(),
        }
    }
}

impl WriterAccount {
    pub(super) fn is_due(&self) -> bool {
        let work = !self.waiting.is_empty() || self.lag.is_some();
        work && self.retry != RetryState::Waiting
    }

    pub(super) fn is_removable(&self) -> bool {
        let idle = self.waiting.is_empty() && self.lag.is_none() && !self.listed;
        idle && !self.served && self.dispatches.is_empty()
    }

    /// The longest batch of tasks that one request can hold; `None` without any.
    pub(super) fn next_batch(&mut self, metrics: &WriterMetrics) -> Option<TaskBatch> {
        if let Some((current, _)) = self.head {
            // This very worker may have claimed the account for a newer epoch since.
            self.fail_older(current, metrics);
        }
        let (owner, first) = self.waiting.front()?;
        let OwnerToken { epoch, served, .. } = *owner;
        let last = match self.head {
            Some((claimed, last)) if claimed == epoch => last,
            _ if matches!(first, WriterTask::Claim(_)) => None,
            _ => return Some(TaskBatch::claim(epoch, served)),
        };
        let occupied = self.occupied;
        let mut batch = TaskBatch { epoch, served, last, occupied, tasks: Vec::new() };
        let mut weight = 0;
        while weight < BATCH_SIZE
            && let Some((owner, task)) = self.waiting.pop_front_if(|(owner, task)| {
                let first = batch.tasks.first();
                owner.epoch == epoch && first.is_none_or(|first| first.batches_with(task))
            })
        {
            weight += task.weight();
            batch.served |= owner.served;
            batch.tasks.push(task);
        }
        Some(batch)
    }

    fn fail_older(&mut self, current: Epoch, metrics: &WriterMetrics) {
        while let Some((_, task)) = self.waiting.pop_front_if(|(owner, _)| owner.epoch < current) {
            task.fail(NotStored::Fenced { current }, metrics);
        }
    }

    /// The operation for a batch of tasks that are no appends.
    pub(super) fn operation(&self, tasks: &[WriterTask]) -> StoreOperation {
        let admission = |task: &WriterTask| match task {
            WriterTask::Admit(admit) => Some(admit.request.clone()),
            _ => None,
        };
        let undone = |task: &WriterTask| match task {
            WriterTask::UndoDispatch(command) => {
                self.dispatches.token(command).map(|token| (command.clone(), token))
            }
            _ => None,
        };
        let pushed = |task: &WriterTask| match task {
            WriterTask::PushPending(push) => Some(Arc::clone(&push.commands)),
            _ => None,
        };
        let removed = |task: &WriterTask| match task {
            WriterTask::RemovePending(position) => Some(*position),
            _ => None,
        };
        let field = |task: &WriterTask| match task {
            WriterTask::SetHead(field) => Some(*field),
            _ => None,
        };
        match tasks.first() {
            None | Some(WriterTask::Append(_)) => StoreOperation::Claim { pending: false },
            Some(WriterTask::Claim(_)) => StoreOperation::Claim { pending: true },
            Some(WriterTask::Admit(_)) => {
                StoreOperation::Admit(tasks.iter().filter_map(admission).collect())
            }
            Some(WriterTask::UndoDispatch(_)) => {
                StoreOperation::UndoDispatch(tasks.iter().filter_map(undone).collect())
            }
            Some(WriterTask::PushPending(_)) => {
                StoreOperation::PushPending(tasks.iter().filter_map(pushed).collect())
            }
            Some(WriterTask::RemovePending(_)) => {
                StoreOperation::RemovePending(tasks.iter().filter_map(removed).collect())
            }
            Some(WriterTask::SetHead(_)) => {
                StoreOperation::SetHead(tasks.iter().filter_map(field).collect())
            }
        }
    }

    /// Puts the tasks of a request that was not applied back to the front.
    pub(super) fn requeue(&mut self, request: &StoreRequest, tasks: Vec<WriterTask>) {
        let StoreRequest { account, epoch, served, .. } = *request;
        for task in tasks.into_iter().rev() {
            self.waiting.push_front((OwnerToken { account, epoch, served }, task));
        }
    }

    /// Compares the end of the store's log with ours; returns where the log ends for us.
    pub(super) fn compare_head(&mut self, epoch: Epoch, last: Option<EventId>) -> Option<EventId> {
        if self.head.is_some_and(|(before, _)| before != epoch) {
            self.dispatches = DispatchRecord::default();
        }
        let ours = self.head.and_then(|(_, last)| last);
        self.lag = (last < ours).then_some(LogLag(last));
        self.head = Some((epoch, last.max(ours)));
        last.max(ours)
    }

    /// The response to a claim, by the owner or by the writer itself.
    pub(super) fn apply_claim(
        &mut self,
        request: &StoreRequest,
        tasks: Vec<WriterTask>,
        head: LogHead,
    ) {
        let last = self.compare_head(request.epoch, head.last);
        let mut head = Some(LogHead { last, ..head });
        for task in tasks {
            if let WriterTask::Claim(reply) = task {
                finish_claim(reply, Ok(head.take().unwrap_or_default()));
            }
        }
    }

    pub(super) fn apply_append(&mut self, epoch: Epoch, batch: &EventBatch) {
        self.head = Some((epoch, batch.last()));
        for completion in batch.entries.iter().filter_map(|entry| entry.completion.as_ref()) {
            self.dispatches.remove(&completion.command);
        }
    }

    pub(super) fn apply_verdicts(
        &mut self,
        tasks: Vec<WriterTask>,
        verdicts: Vec<AdmissionVerdict>,
    ) {
        for (task, verdict) in tasks.into_iter().zip(verdicts) {
            let WriterTask::Admit(admit) = task else { continue };
            let runs = matches!(admit.request.admission.intent, Intent::Run { .. });
            if runs && verdict == AdmissionVerdict::Proceed {
                self.dispatches.insert(admit.request.clone());
            }
            admit.finish(Ok(verdict));
        }
    }

    /// All tasks but claims, appends and admissions.
    pub(super) fn apply_done(&mut self, tasks: Vec<WriterTask>) {
        for task in tasks {
            match &task {
                WriterTask::UndoDispatch(command) => self.dispatches.remove(command),
                WriterTask::SetHead(field) => self.dispatches.set_head_field(*field),
                _ => {}
            }
            task.finish();
        }
    }

    /// A newer owner has the account.
    pub(super) fn apply_fence(&mut self, current: Epoch, metrics: &WriterMetrics) {
        self.fail_older(current, metrics);
        (self.head, self.lag, self.retry) = (None, None, RetryState::NotNeeded);
        self.dispatches = DispatchRecord::default();
    }

    /// The store accepted a request.
    pub(super) fn set_accepted(&mut self, account: AccountId) {
        if mem::take(&mut self.retry) != RetryState::NotNeeded {
            info!(account.id = %account, "redis accepts the account's events again");
        }
    }

    /// The store refused a request, for this reason.
    pub(super) fn set_refused(&mut self, account: AccountId, reason: &str) {
        if mem::replace(&mut self.retry, RetryState::Waiting) == RetryState::NotNeeded {
            warn!(account.id = %account, reason, "redis refuses the account's events; retrying");
        }
    }
}
