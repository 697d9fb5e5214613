use std::sync::Arc;

use contracts::Flow;
use log_port::Intent;

use crate::answer::{Case, Failure};
use crate::commands::{CommandEntry, PreparedCommand};
use crate::worker::Shared;

/// A checked command on its way to its account.
pub(crate) struct Job {
    pub(crate) entry: &'static CommandEntry,
    pub(crate) prepared: PreparedCommand,
    pub(crate) case: Case,
    pub(crate) flow: Flow,
    pub(crate) redelivered: bool,
}

/// A command that is answered unrun.
pub(crate) struct Refusal {
    pub(crate) case: Case,
    pub(crate) failure: Failure,
}

impl Refusal {
    /// Answers it, unless the ledger knows better.
    pub(crate) async fn carry_out(self, shared: Arc<Shared>) {
        if let Some(case) = self.case.admit(&shared, Intent::Refuse).await {
            case.answer(&shared, Err(self.failure));
        }
    }
}

/// What an account is to do with a command.
pub(crate) enum Errand {
    Run(Job),
    Refuse(Refusal),
}
