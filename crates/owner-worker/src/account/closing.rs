use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::client::AccountClient;
use super::tasks::{AccountTasks, TaskResult};

/// An account that is being closed: running commands finish first, then TDLib closes it.
pub(super) struct Closing {
    /// Limits how many accounts TDLib closes at the same time.
    permits: Arc<Semaphore>,
    /// Running commands are not waited for after this time.
    finish_by: Instant,
    /// TDLib closes the account without a permit: the account's lease is over.
    at_once: bool,
    step: ClosingStep,
}

enum ClosingStep {
    /// Running commands finish.
    Finishing,
    AwaitingPermit,
    /// TDLib closes the account; the permit, if any, is held to the end.
    ClosingClient {
        _permit: Option<OwnedSemaphorePermit>,
    },
}

impl Closing {
    /// A `grace` of zero means that the account's lease is over.
    pub(super) fn new(permits: Arc<Semaphore>, grace: Duration) -> Self {
        let (finish_by, at_once) = (Instant::now() + grace, grace.is_zero());
        Self { permits, finish_by, at_once, step: ClosingStep::Finishing }
    }

    /// Shortens the grace. With none left, a permit is not waited for any longer.
    pub(super) fn shorten(
        &mut self,
        grace: Duration,
        client: &AccountClient,
        tasks: &AccountTasks,
    ) {
        self.finish_by = self.finish_by.min(Instant::now() + grace);
        self.at_once |= grace.is_zero();
        if grace.is_zero() && matches!(self.step, ClosingStep::AwaitingPermit) {
            self.close_client(None, client, tasks);
        }
    }

    /// Until when running commands are waited for, if they are.
    pub(super) fn finish_by(&self) -> Option<Instant> {
        matches!(self.step, ClosingStep::Finishing).then_some(self.finish_by)
    }

    /// Whether running commands have not finished in time.
    pub(super) fn is_overdue(&self) -> bool {
        self.finish_by().is_some_and(|by| by <= Instant::now())
    }

    /// No command runs any more.
    pub(super) fn on_idle(&mut self, client: &AccountClient, tasks: &AccountTasks) {
        if matches!(self.step, ClosingStep::Finishing) && client.tdlib().is_some() {
            self.acquire_permit(client, tasks);
        }
    }

    /// Goes on without waiting for commands.
    pub(super) fn acquire_permit(&mut self, client: &AccountClient, tasks: &AccountTasks) {
        if self.at_once {
            return self.close_client(None, client, tasks);
        }
        self.step = ClosingStep::AwaitingPermit;
        let permit = Arc::clone(&self.permits).acquire_owned();
        tasks.add(permit, |permit| TaskResult::ClosePermit(permit.ok()));
    }

    /// Has TDLib close the account, unless it does already.
    pub(super) fn close_client(
        &mut self,
        permit: Option<OwnedSemaphorePermit>,
        client: &AccountClient,
        tasks: &AccountTasks,
    ) {
        if !matches!(self.step, ClosingStep::ClosingClient { .. }) {
            self.step = ClosingStep::ClosingClient { _permit: permit };
            client.close(tasks);
        }
    }
}
