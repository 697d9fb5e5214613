//! What is asked of the writer, and calls with all that hangs on them.

use std::mem::discriminant;
use std::sync::Arc;

use bytes::Bytes;
use contracts::{CommandId, Event};
use log_port::{
    AdmissionVerdict, CommandCompletion, HeadField, LogHead, OwnerToken, PendingCommand,
    PendingPosition,
};
use tokio::sync::oneshot;

use crate::store::{Asked, Call};
use crate::writer::tally::Tally;
use log_port::NotStored;
use log_port::{OnPending, OnStored};

/// What the handle asks of the writer.
#[expect(clippy::large_enum_variant, reason = "nearly every job is the large one")]
pub(crate) enum Job {
    Task(OwnerToken, Task),
    /// Answered when everything queued before it has its verdict.
    Flush(oneshot::Sender<()>),
}

/// One thing to do for one account.
pub(crate) enum Task {
    Claim(oneshot::Sender<Result<LogHead, NotStored>>),
    Append(Append),
    Admit(Beginning),
    UndoDispatch(CommandId),
    PushPending(Parking),
    RemovePending(PendingPosition),
    SetHead(HeadField),
}

pub(crate) struct Append {
    pub event: Event,
    pub completion: Option<CommandCompletion>,
    pub on_stored: Option<OnStored>,
}

/// A question to the ledger.
pub(crate) struct Beginning {
    pub asked: Asked,
    pub answer: oneshot::Sender<Result<AdmissionVerdict, NotStored>>,
}

pub(crate) struct Parking {
    pub parked: Arc<Vec<PendingCommand>>,
    /// `None` when more of the same parking follow.
    pub on_parked: Option<OnPending>,
}

/// A call and who waits for its verdict; nobody waits for the writer's own calls.
pub(super) struct Flight {
    pub call: Call,
    pub tasks: Vec<Task>,
}

impl Flight {
    pub(super) fn split(self) -> (Call, Vec<Task>) {
        (self.call, self.tasks)
    }

    pub(super) fn join((call, tasks): (Call, Vec<Task>)) -> Self {
        Self { call, tasks }
    }
}

impl Task {
    /// Whether one call can carry both.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        !matches!(self, Self::Claim(_)) && discriminant(self) == discriminant(other)
    }

    /// How much it adds to its call.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::PushPending(parking) => parking.parked.len().max(1),
            _ => 1,
        }
    }

    /// Tells whoever waits that it was done, for what needs no more words.
    pub(super) fn finish(self) {
        if let Self::PushPending(Parking { on_parked: Some(on_parked), .. }) = self {
            on_parked(Ok(()));
        }
    }

    /// Tells whoever waits that it will never be done.
    pub(crate) fn fail(self, reason: NotStored, tally: &Tally) {
        match self {
            Self::Claim(answer) => claimed(answer, Err(reason)),
            Self::Append(append) => append.finish(Err(reason), tally),
            Self::Admit(beginning) => beginning.finish(Err(reason)),
            Self::PushPending(Parking { on_parked: Some(on_parked), .. }) => on_parked(Err(reason)),
            Self::PushPending(_)
            | Self::UndoDispatch(_)
            | Self::RemovePending(_)
            | Self::SetHead(_) => {}
        }
    }
}

impl Append {
    /// Tells whoever waits for it.
    pub(super) fn finish(self, outcome: Result<Bytes, NotStored>, tally: &Tally) {
        tally.unqueue_one();
        if let Some(on_stored) = self.on_stored {
            on_stored(outcome);
        }
    }
}

impl Beginning {
    /// Tells whoever waits for it.
    pub(super) fn finish(self, outcome: Result<AdmissionVerdict, NotStored>) {
        // Whoever asked may have stopped waiting.
        self.answer.send(outcome).ok();
    }
}

/// Tells whoever waits for the claim.
pub(super) fn claimed(
    answer: oneshot::Sender<Result<LogHead, NotStored>>,
    outcome: Result<LogHead, NotStored>,
) {
    // Whoever asked may have stopped waiting.
    answer.send(outcome).ok();
}
