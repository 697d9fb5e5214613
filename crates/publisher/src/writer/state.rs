//! The state of all accounts: where each log ends, which tasks wait, which events were stored
//! lately; what is sent next, and what each response changes. No I/O here.

use std::collections::HashMap;
use std::mem;
use std::time::Duration;

use contracts::AccountId;
use log_port::NotStored;
use runtime::Clock;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

use crate::store::{EventBatch, StoreOperation, StoreRequest, StoreResponse};
use crate::writer::account::{LogLag, RetryState, WriterAccount};
use crate::writer::batch_call::BatchCall;
use crate::writer::batch_encoder::BatchEncoder;
use crate::writer::metrics::WriterMetrics;
use crate::writer::replay::RecentEvents;
use crate::writer::task::{WriterJob, WriterTask};
use crate::writer::task_batch::TaskBatch;

/// How often events that are too old are dropped from the log of an account that appends.
const TRIM_EVERY: Duration = Duration::from_mins(1);

pub(crate) struct WriterState {
    accounts: HashMap<AccountId, WriterAccount>,
    /// Accounts with work waiting, in the order it arrived.
    ready: Vec<AccountId>,
    /// Accounts whose last request the store refused.
    refused: Vec<AccountId>,
    recent: RecentEvents,
    /// The store turned out to have lost events.
    lost_events: bool,
    flushes: Vec<oneshot::Sender<()>>,
    metrics: WriterMetrics,
    /// How long an event is kept, by its time.
    max_age: Duration,
    clock: Clock,
}

impl WriterState {
    pub(crate) fn new(metrics: WriterMetrics, max_age: Duration) -> Self {
        Self {
            accounts: HashMap::new(),
            ready: Vec::new(),
            refused: Vec::new(),
            recent: RecentEvents::default(),
            lost_events: false,
            flushes: Vec::new(),
            metrics,
            max_age,
            clock: Clock::system(),
        }
    }

    /// Queues a job behind its account's other jobs.
    pub(super) fn enqueue(&mut self, job: WriterJob) {
        let (owner, task) = match job {
            WriterJob::Task(owner, task) => (owner, task),
            WriterJob::Flush(flush) => return self.flushes.push(flush),
        };
        let state = self.accounts.entry(owner.account).or_default();
        state.served |= owner.served;
        state.waiting.push_back((owner, task));
        self.mark_ready(owner.account);
    }

    fn mark_ready(&mut self, account: AccountId) {
        if let Some(state) = self.accounts.get_mut(&account)
            && state.is_due()
            && !state.listed
        {
            state.listed = true;
            self.ready.push(account);
        }
    }

    /// The next call of every account with work waiting.
    pub(super) fn next_batch(&mut self) -> Vec<BatchCall> {
        let mut calls = Vec::new();
        let mut encoder = BatchEncoder::default();
        for account in mem::take(&mut self.ready) {
            let Some(state) = self.accounts.get_mut(&account) else { continue };
            state.listed = false;
            if !state.is_due() {
                continue;
            }
            let Some(batch) = state.next_batch(&self.metrics) else { continue };
            if let Some(WriterTask::Append(_)) = batch.tasks.first() {
                let drop_before = self.drop_before(account);
                encoder.add(account, batch, drop_before);
            } else {
                let operation = state.operation(&batch.tasks);
                let TaskBatch { epoch, served, last, tasks, .. } = batch;
                let request = StoreRequest { account, epoch, served, last, operation };
                calls.push(BatchCall { request, tasks });
            }
        }
        calls.extend(encoder.finish());
        calls
    }

    /// The time before which events are too old, once a minute.
    fn drop_before(&mut self, account: AccountId) -> Option<i64> {
        let state = self.accounts.get_mut(&account)?;
        if state.trimmed.elapsed() < TRIM_EVERY {
            return None;
        }
        state.trimmed = Instant::now();
        let max_age = i64::try_from(self.max_age.as_millis()).unwrap_or(i64::MAX);
        Some(self.clock.now().as_millisecond().saturating_sub(max_age))
    }

    /// Calls that compare every head with what was stored, for a store that was down.
    pub(super) fn claims(&self) -> Vec<BatchCall> {
        let claim = |(&account, state): (&AccountId, &WriterAccount)| {
            let (epoch, _) = state.head?;
            let operation = StoreOperation::Claim { pending: false };
            let served = state.served;
            let request = StoreRequest { account, epoch, served, last: None, operation };
            Some(BatchCall::without_tasks(request))
        };
        self.accounts.iter().filter_map(claim).collect()
    }

    /// Calls that write again what a store may have lost beside events, in rounds of one call per
    /// account.
    pub(super) fn replays(&self) -> Vec<Vec<BatchCall>> {
        let mut rounds: Vec<Vec<BatchCall>> = Vec::new();
        for (&account, state) in &self.accounts {
            let Some((epoch, last)) = state.head else { continue };
            for (round, operation) in state.dispatches.replays().into_iter().enumerate() {
                let served = state.served;
                let request = StoreRequest { account, epoch, served, last, operation };
                if rounds.len() <= round {
                    rounds.push(Vec::new());
                }
                rounds[round].push(BatchCall::without_tasks(request));
            }
        }
        rounds
    }

    /// Calls that append again what the store has lost.
    pub(super) fn restores(&mut self) -> Vec<BatchCall> {
        let lagging = |account: &AccountId| {
            let state = self.accounts.get(account).filter(|state| state.is_due())?;
            let LogLag(store_last) = state.lag?;
            Some((*account, store_last))
        };
        let lagging: HashMap<_, _> = self.ready.iter().filter_map(lagging).collect();
        if lagging.is_empty() {
            return Vec::new();
        }
        let mut recent = self.recent.after(&lagging);
        let (mut calls, mut events, mut incomplete) = (Vec::new(), 0, 0);
        for (account, store_last) in lagging {
            let Some(state) = self.accounts.get(&account) else { continue };
            let Some((epoch, last)) = state.head else { continue };
            let missing = recent.remove(&account).unwrap_or_default();
            let last = missing.first().map_or(last, |first| first.event.prev);
            events += missing.len();
            incomplete += usize::from(last != store_last);
            let operation = StoreOperation::Restore(EventBatch::new(missing));
            let served = state.served;
            let request = StoreRequest { account, epoch, served, last, operation };
            calls.push(BatchCall::without_tasks(request));
        }
        warn!(
            accounts = calls.len(),
            events, incomplete, "redis has lost events; restoring those still in memory"
        );
        calls
    }

    /// Applies a response, and notifies the callers that wait for it.
    pub(super) fn apply(&mut self, call: BatchCall, response: StoreResponse) {
        let BatchCall { request, tasks } = call;
        let (account, epoch) = (request.account, request.epoch);
        let state = self.accounts.entry(account).or_default();
        match response {
            StoreResponse::Claimed(head) => {
                state.set_accepted(account);
                self.metrics.add_foreign(head.foreign);
                state.apply_claim(&request, tasks, *head);
            }
            StoreResponse::Stored { unheard } => self.apply_stored(request, tasks, unheard),
            StoreResponse::AlreadyStored => self.apply_stored(request, tasks, 0),
            StoreResponse::Admitted(verdicts) => {
                state.set_accepted(account);
                state.apply_verdicts(tasks, verdicts);
            }
            StoreResponse::Done => {
                state.set_accepted(account);
                state.apply_done(tasks);
            }
            StoreResponse::Fenced { current } => {
                warn!(account.id = %account, %epoch, %current, "a newer owner has the account's log");
                for task in tasks {
                    task.fail(NotStored::Fenced { current }, &self.metrics);
                }
                state.apply_fence(current, &self.metrics);
            }
            StoreResponse::Gap { last } => {
                state.requeue(&request, tasks);
                let knew = state.lag.is_some();
                state.compare_head(epoch, last);
                if state.lag.is_none() {
                    warn!(account.id = %account, %epoch, "another process writes under this epoch");
                } else if !knew {
                    self.lost_events = true;
                }
            }
            StoreResponse::Occupied { top } => {
                warn!(account.id = %account, entry = %top, "passing over an entry of the account's log that no worker wrote");
                state.requeue(&request, tasks);
                state.occupied = Some(top);
            }
            StoreResponse::Refused(reason) => {
                state.requeue(&request, tasks);
                state.set_refused(account, &reason);
                self.refused.push(account);
            }
        }
        self.mark_ready(account);
        self.remove_idle(account);
    }

    fn apply_stored(&mut self, request: StoreRequest, tasks: Vec<WriterTask>, unheard: u64) {
        let Some(state) = self.accounts.get_mut(&request.account) else { return };
        state.set_accepted(request.account);
        let batch = match request.operation {
            StoreOperation::Append(batch) => batch,
            StoreOperation::Restore(batch) => {
                state.lag = None;
                return self.metrics.add_restored(batch.entries.len());
            }
            _ => return,
        };
        state.apply_append(request.epoch, &batch);
        self.metrics.add_stored(batch.entries.len(), unheard);
        for (task, entry) in tasks.into_iter().zip(batch.entries) {
            let json = entry.event.json.clone();
            self.recent.push(entry);
            if let WriterTask::Append(append) = task {
                append.finish(Ok(json), &self.metrics);
            }
        }
    }

    /// Removes the state of an account that no worker runs: its next event asks the store again.
    fn remove_idle(&mut self, account: AccountId) {
        if self.accounts.get(&account).is_some_and(WriterAccount::is_removable) {
            self.accounts.remove(&account);
        }
    }

    /// What is kept of a call when the store was lost during it: a call that a task waits for.
    pub(super) fn retain(&mut self, call: BatchCall) -> Option<BatchCall> {
        if call.tasks.is_empty() {
            self.mark_ready(call.request.account);
            return None;
        }
        Some(call)
    }

    /// Whether the store turned out to have lost events since this was last asked.
    pub(super) fn take_lost_events(&mut self) -> bool {
        mem::take(&mut self.lost_events)
    }

    /// Makes the refused requests due again.
    pub(super) fn retry_refused(&mut self) {
        for account in mem::take(&mut self.refused) {
            if let Some(state) = self.accounts.get_mut(&account)
                && state.retry == RetryState::Waiting
            {
                state.retry = RetryState::Retrying;
                self.mark_ready(account);
            }
        }
    }

    /// Answers the flushes, when nothing is in flight.
    pub(super) fn finish_flushes(&mut self) {
        if self.refused.is_empty() {
            for flush in self.flushes.drain(..) {
                // The caller may have stopped waiting.
                flush.send(()).ok();
            }
        }
    }

    pub(super) fn close(&self, call: BatchCall) {
        call.tasks.into_iter().for_each(|task| task.fail(NotStored::Closed, &self.metrics));
    }

    pub(super) fn close_all(&mut self) {
        for (_, task) in self.accounts.drain().flat_map(|(_, state)| state.waiting) {
            task.fail(NotStored::Closed, &self.metrics);
        }
    }
}
