use std::mem;
use std::sync::Arc;

use contracts::{CommandId, Event};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use log_port::{
    AccountLog, Admission, AdmissionVerdict, CommandCompletion, HeadField, NotStored, OnPending,
    OnStored, OwnerToken, PendingCommand, PendingPosition,
};
use tokio::sync::{mpsc, oneshot};

use crate::store::{Asked, Token};
use crate::writer::{Append, Beginning, Job, Parking, Tally, Task};

/// Pending commands that one call pushes.
const PUSHED_AT_ONCE: usize = 512;

/// The way to the writer's task.
#[derive(Clone)]
pub(crate) struct WriterQueue {
    jobs: mpsc::UnboundedSender<Job>,
    tally: Tally,
}

impl WriterQueue {
    pub(crate) fn new(jobs: mpsc::UnboundedSender<Job>, tally: Tally) -> Self {
        Self { jobs, tally }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// A receiver that resolves when everything queued so far has its verdict.
    pub(crate) fn flush(&self) -> oneshot::Receiver<()> {
        let (flush, flushed) = oneshot::channel();
        drop(self.jobs.send(Job::Flush(flush)));
        flushed
    }

    fn send(&self, owner: OwnerToken, task: Task) {
        if let Err(mpsc::error::SendError(Job::Task(_, task))) =
            self.jobs.send(Job::Task(owner, task))
        {
            task.fail(NotStored::Closed, &self.tally);
        }
    }
}

/// The right to write one account's log: what a claim returns. See [`AccountLog`] for what each
/// request means.
///
/// The queue has no bound: whoever appends watches [`EventLog::connected`] and
/// [`Counters::queued`].
///
/// [`EventLog::connected`]: crate::EventLog::connected
/// [`Counters::queued`]: crate::Counters::queued
#[derive(Clone)]
pub struct AccountWriter {
    owner: OwnerToken,
    queue: WriterQueue,
}

impl AccountWriter {
    pub(crate) fn new(queue: WriterQueue, owner: OwnerToken) -> Self {
        Self { owner, queue }
    }

    pub(crate) fn queue_task(&self, task: Task) {
        self.queue.send(self.owner, task);
    }
}

impl AccountLog for AccountWriter {
    fn token(&self) -> OwnerToken {
        self.owner
    }

    fn append(
        &self,
        event: Event,
        completion: Option<CommandCompletion>,
        on_stored: Option<OnStored>,
    ) {
        self.queue.tally.queue_one();
        self.queue_task(Task::Append(Append { event, completion, on_stored }));
    }

    /// However often the request has to be sent again, the dispatch counts once. Dropping the future
    /// does not withdraw the request.
    fn admit(
        &self,
        admission: Admission,
    ) -> BoxFuture<'static, Result<AdmissionVerdict, NotStored>> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { begin: admission, token: Token::random() };
        self.queue_task(Task::Admit(Beginning { asked, answer }));
        async move { answered.await.unwrap_or(Err(NotStored::Closed)) }.boxed()
    }

    fn undo_dispatch(&self, command: CommandId) {
        self.queue_task(Task::UndoDispatch(command));
    }

    /// Commands that are done, and those whose position is not behind all that was ever in the list,
    /// are left out: they are there already, or were.
    fn push_pending(&self, mut commands: Vec<PendingCommand>, on_pending: OnPending) {
        while PUSHED_AT_ONCE < commands.len() {
            let rest = commands.split_off(PUSHED_AT_ONCE);
            let parked = Arc::new(mem::replace(&mut commands, rest));
            self.queue_task(Task::PushPending(Parking { parked, on_parked: None }));
        }
        let parking = Parking { parked: Arc::new(commands), on_parked: Some(on_pending) };
        self.queue_task(Task::PushPending(parking));
    }

    fn remove_pending(&self, position: PendingPosition) {
        self.queue_task(Task::RemovePending(position));
    }

    fn set_head_field(&self, field: HeadField) {
        self.queue_task(Task::SetHead(field));
    }
}
