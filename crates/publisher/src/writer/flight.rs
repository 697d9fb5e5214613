//! What is asked of the writer, and calls with all that hangs on them.

use std::mem::discriminant;
use std::sync::Arc;

use contracts::{Begun, Claimant, Claimed, CommandId, Event, Note, Parked, Place, Settle};
use tokio::sync::oneshot;

use crate::error::{ClaimError, NotStored};
use crate::store::{Asked, Call};
use crate::stored::{OnParked, OnStored, Stored};
use crate::writer::tally::Tally;

/// What the handle asks of the writer.
#[expect(clippy::large_enum_variant, reason = "nearly every job is the large one")]
pub(crate) enum Job {
    Task(Claimant, Task),
    /// Answered when everything queued before it has its verdict.
    Flush(oneshot::Sender<()>),
}

/// One thing to do for one account.
pub(crate) enum Task {
    Claim(oneshot::Sender<Result<Claimed, ClaimError>>),
    Append(Append),
    Begin(Beginning),
    Leave(CommandId),
    Park(Parking),
    Unpark(Place),
    Note(Note),
}

pub(crate) struct Append {
    pub event: Event,
    pub settle: Option<Settle>,
    pub on_stored: Option<OnStored>,
}

/// A question to the ledger.
pub(crate) struct Beginning {
    pub asked: Asked,
    pub answer: oneshot::Sender<Result<Begun, NotStored>>,
}

pub(crate) struct Parking {
    pub parked: Arc<Vec<Parked>>,
    /// `None` when more of the same parking follow.
    pub on_parked: Option<OnParked>,
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
            Self::Park(parking) => parking.parked.len().max(1),
            _ => 1,
        }
    }

    /// Tells whoever waits that it was done, for what needs no more words.
    pub(super) fn finish(self) {
        if let Self::Park(Parking { on_parked: Some(on_parked), .. }) = self {
            on_parked(Ok(()));
        }
    }

    /// Tells whoever waits that it will never be done.
    pub(crate) fn fail(self, reason: NotStored, tally: &Tally) {
        match self {
            Self::Claim(answer) => claimed(answer, Err(reason.into())),
            Self::Append(append) => append.finish(Err(reason), tally),
            Self::Begin(beginning) => beginning.finish(Err(reason)),
            Self::Park(Parking { on_parked: Some(on_parked), .. }) => on_parked(Err(reason)),
            Self::Park(_) | Self::Leave(_) | Self::Unpark(_) | Self::Note(_) => {}
        }
    }
}

impl Append {
    /// Tells whoever waits for it.
    pub(super) fn finish(self, outcome: Result<Stored, NotStored>, tally: &Tally) {
        tally.unqueue_one();
        if let Some(on_stored) = self.on_stored {
            on_stored(outcome);
        }
    }
}

impl Beginning {
    /// Tells whoever waits for it.
    pub(super) fn finish(self, outcome: Result<Begun, NotStored>) {
        // Whoever asked may have stopped waiting.
        self.answer.send(outcome).ok();
    }
}

/// Tells whoever waits for the claim.
pub(super) fn claimed(
    answer: oneshot::Sender<Result<Claimed, ClaimError>>,
    outcome: Result<Claimed, ClaimError>,
) {
    // Whoever asked may have stopped waiting.
    answer.send(outcome).ok();
}
