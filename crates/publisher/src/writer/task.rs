//! What callers ask of the writer.

use std::mem::discriminant;
use std::sync::Arc;

use bytes::Bytes;
use contracts::{Event, LedgerKey};
use log_port::{
    AdmissionVerdict, CommandCompletion, HeadField, LogHead, NotStored, OnPending, OnStored,
    OwnerToken, PendingCommand, PendingPosition,
};
use tokio::sync::oneshot;

use crate::store::AdmissionRequest;
use crate::writer::metrics::WriterMetrics;

#[expect(clippy::large_enum_variant, reason = "nearly every job is the large one")]
pub(crate) enum WriterJob {
    Task(OwnerToken, WriterTask),
    /// Answered when everything queued before it has its outcome.
    Flush(oneshot::Sender<()>),
}

/// One request about one account.
pub(crate) enum WriterTask {
    Claim(oneshot::Sender<Result<LogHead, NotStored>>),
    Append(AppendTask),
    Admit(AdmitTask),
    UndoDispatch(LedgerKey),
    PushPending(PushTask),
    RemovePending(PendingPosition),
    SetHead(HeadField),
}

pub(crate) struct AppendTask {
    pub event: Event,
    pub completion: Option<CommandCompletion>,
    pub on_stored: Option<OnStored>,
}

pub(crate) struct AdmitTask {
    pub request: AdmissionRequest,
    pub reply: oneshot::Sender<Result<AdmissionVerdict, NotStored>>,
}

pub(crate) struct PushTask {
    pub commands: Arc<Vec<PendingCommand>>,
    /// `None` when more commands of the same call follow.
    pub on_pending: Option<OnPending>,
}

impl WriterTask {
    /// Whether one request to the store can hold both.
    pub(super) fn batches_with(&self, other: &Self) -> bool {
        !matches!(self, Self::Claim(_)) && discriminant(self) == discriminant(other)
    }

    /// How much it adds to its batch.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::PushPending(push) => push.commands.len().max(1),
            _ => 1,
        }
    }

    /// Notifies the caller that it is done, where no more is to be said.
    pub(super) fn finish(self) {
        if let Self::PushPending(PushTask { on_pending: Some(on_pending), .. }) = self {
            on_pending(Ok(()));
        }
    }

    /// Notifies the caller that it will never be done.
    pub(super) fn fail(self, reason: NotStored, metrics: &WriterMetrics) {
        match self {
            Self::Claim(reply) => finish_claim(reply, Err(reason)),
            Self::Append(append) => append.finish(Err(reason), metrics),
            Self::Admit(admit) => admit.finish(Err(reason)),
            Self::PushPending(PushTask { on_pending: Some(on_pending), .. }) => {
                on_pending(Err(reason));
            }
            Self::PushPending(_)
            | Self::UndoDispatch(_)
            | Self::RemovePending(_)
            | Self::SetHead(_) => {}
        }
    }
}

impl AppendTask {
    pub(super) fn finish(self, outcome: Result<Bytes, NotStored>, metrics: &WriterMetrics) {
        metrics.unqueue_one();
        if let Some(on_stored) = self.on_stored {
            on_stored(outcome);
        }
    }
}

impl AdmitTask {
    pub(super) fn finish(self, outcome: Result<AdmissionVerdict, NotStored>) {
        // The caller may have stopped waiting.
        self.reply.send(outcome).ok();
    }
}

pub(super) fn finish_claim(
    reply: oneshot::Sender<Result<LogHead, NotStored>>,
    outcome: Result<LogHead, NotStored>,
) {
    // The caller may have stopped waiting.
    reply.send(outcome).ok();
}
