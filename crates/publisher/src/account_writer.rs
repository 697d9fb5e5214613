use std::mem;
use std::sync::Arc;

use contracts::{CommandId, Event};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use log_port::{
    AccountLog, Admission, AdmissionVerdict, CommandCompletion, HeadField, NotStored, OnPending,
    OnStored, OwnerToken, PendingCommand, PendingPosition,
};
use tokio::sync::oneshot;

use crate::store::{AdmissionRequest, DispatchToken};
use crate::writer::{AdmitTask, AppendTask, PushTask, WriterQueue, WriterTask};

/// Pending commands in one task.
const PUSHED_AT_ONCE: usize = 512;

/// The right to write one account's log: what a claim returns. See [`AccountLog`] for what each
/// request means. Each becomes a `WriterTask`, which the writer (`writer.rs`) executes.
///
/// The queue is unbounded: callers that append much watch [`EventLog::connected`] and
/// [`LogCounters::queued`].
///
/// [`EventLog::connected`]: crate::EventLog::connected
/// [`LogCounters::queued`]: crate::LogCounters::queued
#[derive(Clone)]
pub struct AccountWriter {
    token: OwnerToken,
    queue: WriterQueue,
}

impl AccountWriter {
    pub(crate) fn new(queue: WriterQueue, token: OwnerToken) -> Self {
        Self { token, queue }
    }

    pub(crate) fn send(&self, task: WriterTask) {
        self.queue.send(self.token, task);
    }
}

impl AccountLog for AccountWriter {
    fn token(&self) -> OwnerToken {
        self.token
    }

    fn append(
        &self,
        event: Event,
        completion: Option<CommandCompletion>,
        on_stored: Option<OnStored>,
    ) {
        self.queue.metrics().queue_one();
        self.send(WriterTask::Append(AppendTask { event, completion, on_stored }));
    }

    /// However often the request has to be resent, the dispatch counts once. Dropping the future
    /// does not withdraw the request.
    fn admit(
        &self,
        admission: Admission,
    ) -> BoxFuture<'static, Result<AdmissionVerdict, NotStored>> {
        let (reply, verdict) = oneshot::channel();
        let request = AdmissionRequest { admission, token: DispatchToken::random() };
        self.send(WriterTask::Admit(AdmitTask { request, reply }));
        async move { verdict.await.unwrap_or(Err(NotStored::Closed)) }.boxed()
    }

    fn undo_dispatch(&self, command: CommandId) {
        self.send(WriterTask::UndoDispatch(command));
    }

    /// Skips commands that are done, and those whose position is not after every position that the
    /// list ever had: they are in the list already, or were.
    fn push_pending(&self, mut commands: Vec<PendingCommand>, on_pending: OnPending) {
        while PUSHED_AT_ONCE < commands.len() {
            let rest = commands.split_off(PUSHED_AT_ONCE);
            let commands = Arc::new(mem::replace(&mut commands, rest));
            self.send(WriterTask::PushPending(PushTask { commands, on_pending: None }));
        }
        let push = PushTask { commands: Arc::new(commands), on_pending: Some(on_pending) };
        self.send(WriterTask::PushPending(push));
    }

    fn remove_pending(&self, position: PendingPosition) {
        self.send(WriterTask::RemovePending(position));
    }

    fn set_head_field(&self, field: HeadField) {
        self.send(WriterTask::SetHead(field));
    }
}
