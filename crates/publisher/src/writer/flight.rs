//! Jobs as they are queued, and calls with all that hangs on them.

use contracts::{AccountId, Epoch, Event, EventId};
use tokio::sync::oneshot;

use crate::error::{ClaimError, NotStored};
use crate::store::Call;
use crate::stored::{OnStored, Stored};
use crate::writer::tally::Tally;

/// What the handle asks of the writer.
pub(crate) enum Job {
    Append(Append),
    Claim(Claim),
    /// Answered when everything queued before it has its verdict.
    Flush(oneshot::Sender<()>),
}

pub(crate) struct Append {
    pub event: Event,
    pub epoch: Epoch,
    pub known: bool,
    pub on_stored: Option<OnStored>,
}

pub(crate) struct Claim {
    pub account: AccountId,
    pub epoch: Epoch,
    pub answer: oneshot::Sender<Result<Option<EventId>, ClaimError>>,
}

/// A call and who waits for its verdict.
pub(super) struct Flight {
    pub call: Call,
    pub cargo: Cargo,
}

pub(super) enum Cargo {
    /// The writer's own call.
    Nothing,
    Claim(Claim),
    /// As many as the call's block has events.
    Appends(Vec<Append>),
}

impl Flight {
    pub(super) fn split(self) -> (Call, Cargo) {
        (self.call, self.cargo)
    }

    pub(super) fn join((call, cargo): (Call, Cargo)) -> Self {
        Self { call, cargo }
    }
}

impl Append {
    /// Tells whoever waits for it.
    pub(crate) fn finish(self, outcome: Result<Stored, NotStored>, tally: &Tally) {
        tally.unqueue_one();
        if let Some(on_stored) = self.on_stored {
            on_stored(outcome);
        }
    }
}

impl Claim {
    pub(super) fn finish(self, outcome: Result<Option<EventId>, ClaimError>) {
        // Whoever asked may have stopped waiting.
        self.answer.send(outcome).ok();
    }
}

impl Cargo {
    pub(super) fn fail(self, reason: NotStored, tally: &Tally) {
        match self {
            Self::Nothing => {}
            Self::Claim(claim) => claim.finish(Err(reason.into())),
            Self::Appends(appends) => {
                for append in appends {
                    append.finish(Err(reason), tally);
                }
            }
        }
    }
}
