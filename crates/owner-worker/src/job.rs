use std::sync::Arc;

use contracts::Flow;
use log_port::Intent;

use crate::answer::PendingAnswer;
use crate::commands::{CommandEntry, PreparedCommand};
use crate::failure::Failure;
use crate::worker_context::WorkerContext;

/// What an account does with a message that has been checked.
pub(crate) enum Work {
    Run(QueuedCommand),
    Reject(Rejection),
}

/// A command on its way through its account's queue.
pub(crate) struct QueuedCommand {
    pub(crate) entry: &'static CommandEntry,
    pub(crate) prepared: PreparedCommand,
    pub(crate) answer: PendingAnswer,
    pub(crate) flow: Flow,
    pub(crate) redelivered: bool,
    /// Whether the account was opened again for it: it is not opened once more.
    pub(crate) reopened: bool,
}

/// A command that is answered with a failure, without being run.
pub(crate) struct Rejection {
    pub(crate) answer: PendingAnswer,
    pub(crate) failure: Failure,
}

impl QueuedCommand {
    pub(crate) fn reject(self, failure: Failure) -> Rejection {
        Rejection { answer: self.answer, failure }
    }
}

impl Rejection {
    /// Answers with the failure, unless the ledger has another answer.
    pub(crate) async fn settle(self, shared: Arc<WorkerContext>) {
        if let Some(answer) = self.answer.admit(&shared, Intent::Refuse).await {
            answer.complete(&shared, Err(self.failure));
        }
    }
}
