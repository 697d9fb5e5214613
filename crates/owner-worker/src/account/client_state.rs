use std::future::pending;
use std::sync::Arc;

use log_port::AccountLog;
use runtime::CancellationToken;
use tdlib::Update;

use super::storage::{OpenAccount, OpenTask, RecordedState};
use super::tasks::{AccountTasks, TaskResult};
use crate::worker_context::WorkerContext;

/// Whether the account has a TDLib client.
pub(super) enum ClientState {
    Closed,
    Opening {
        /// Cancels the opening.
        given_up: CancellationToken,
    },
    Open(OpenAccount),
}

impl ClientState {
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    pub(super) fn open(&self) -> Option<&OpenAccount> {
        match self {
            Self::Open(open) => Some(open),
            Self::Closed | Self::Opening { .. } => None,
        }
    }

    /// Starts to open an account that is closed.
    pub(super) fn start_opening(
        &mut self,
        shared: Arc<WorkerContext>,
        log: Arc<dyn AccountLog>,
        recorded: RecordedState,
        tasks: &AccountTasks,
    ) {
        let given_up = CancellationToken::new();
        *self = Self::Opening { given_up: given_up.clone() };
        tasks.add(OpenTask { shared, log, recorded, given_up }.run(), TaskResult::Opened);
    }

    /// Cancels an opening; it ends soon.
    pub(super) fn cancel_opening(&self) {
        if let Self::Opening { given_up } = self {
            given_up.cancel();
        }
    }

    /// Has TDLib close the account; does nothing if it is not open.
    pub(super) fn close(&self, tasks: &AccountTasks) {
        if let Some(answered) = self.open().and_then(OpenAccount::close) {
            tasks.add(answered, |()| TaskResult::CloseAnswered);
        }
    }

    /// Whether updates have arrived that are not handled yet.
    pub(super) fn has_updates(&self) -> bool {
        self.open().is_some_and(|open| !open.updates.is_empty())
    }

    /// Waits for updates and receives at most `limit`; none if the client is closed. Cancel-safe.
    pub(super) async fn receive_updates(
        &mut self,
        updates: &mut Vec<Update>,
        limit: usize,
    ) -> usize {
        match self {
            Self::Open(open) => open.updates.recv_many(updates, limit).await,
            Self::Closed | Self::Opening { .. } => pending().await,
        }
    }
}
