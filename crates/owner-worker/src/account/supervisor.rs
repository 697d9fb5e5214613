use std::pin::pin;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use log_port::{AccountLog, ClaimResult, LogHead, NotStored, OwnerToken};
use runtime::{Backoff, CancellationToken};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Account;
use super::handle::AccountHandle;
use super::watched_log::WatchedLog;
use crate::worker_context::WorkerContext;

/// Delays between attempts to claim an account that another epoch has.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// An account of an owned shard: its task, or why it has none.
pub(crate) struct AccountSlot {
    state: RwLock<Result<Arc<AccountHandle>, NotServed>>,
    /// Cancelled when the account is closed for good.
    given_up: CancellationToken,
}

/// Why an account of an owned shard has no task.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum NotServed {
    #[error(transparent)]
    NotStored(#[from] NotStored),
    /// The claim is still waiting, although the log is up.
    #[error("the account's log cannot be claimed")]
    Unclaimed,
}

impl AccountSlot {
    /// The account's task; the error says why it has none at present.
    pub(crate) fn handle(&self) -> Result<Arc<AccountHandle>, NotServed> {
        runtime::read_lock(&self.state).clone()
    }

    fn set(&self, state: Result<Arc<AccountHandle>, NotServed>) {
        *runtime::write_lock(&self.state) = state;
    }

    /// Closes the account for good, see [`AccountHandle::close`].
    pub(crate) fn close(&self, grace: Duration) -> impl Future<Output = ()> + use<> {
        self.given_up.cancel();
        let closed = self.handle().map(|handle| handle.close(grace));
        async move {
            if let Ok(closed) = closed {
                closed.await;
            }
        }
    }
}

/// Runs an account for as long as its shard is owned. While another epoch has the account's log, the
/// account is closed, and claimed again from time to time: a shard has one owner, so that epoch is
/// no owner's, and someone has to correct it. The shard's other accounts go on.
pub(crate) struct AccountSupervisor {
    shared: Arc<WorkerContext>,
    token: OwnerToken,
    slot: Arc<AccountSlot>,
}

/// An account that is claimed, and what tells that another epoch has claimed it since.
pub(crate) struct ClaimedAccount {
    account: Account,
    handle: Arc<AccountHandle>,
    fence: watch::Receiver<Option<NotStored>>,
}

impl AccountSupervisor {
    /// A supervisor, and what it begins with. `clean` says whether the previous owner closed the
    /// account cleanly.
    pub(crate) fn new(
        shared: Arc<WorkerContext>,
        token: OwnerToken,
        claim: Option<ClaimResult>,
        clean: bool,
    ) -> (Self, Result<ClaimedAccount, NotServed>) {
        let claim = claim.map_or(Err(NotServed::Unclaimed), |claim| Ok(claim?));
        let claimed = claim.map(|claimed| ClaimedAccount::new(claimed, clean, &shared));
        let handle = claimed.as_ref().map(|claimed| Arc::clone(&claimed.handle));
        let state = RwLock::new(handle.map_err(|error| *error));
        let slot = Arc::new(AccountSlot { state, given_up: CancellationToken::new() });
        (Self { shared, token, slot }, claimed)
    }

    pub(crate) fn slot(&self) -> Arc<AccountSlot> {
        Arc::clone(&self.slot)
    }

    /// Runs until the account is closed for good.
    pub(crate) async fn run(
        self,
        mut claimed: Result<ClaimedAccount, NotServed>,
    ) -> anyhow::Result<()> {
        let OwnerToken { account, epoch, .. } = self.token;
        loop {
            let error = match claimed {
                Ok(claimed) => match claimed.run(&self.slot).await? {
                    Some(error) => error.into(),
                    None => return Ok(()),
                },
                Err(error) => error,
            };
            warn!(account.id = %account, %epoch, %error, "an account is closed until its log can be claimed; the shard's others go on");
            let again = self.slot.given_up.run_until_cancelled(self.claim_again());
            let Some(Ok(again)) = again.await else { return Ok(()) };
            info!(account.id = %account, %epoch, "the account's log is claimed again");
            let again = ClaimedAccount::new(again, false, &self.shared);
            self.slot.set(Ok(Arc::clone(&again.handle)));
            claimed = Ok(again);
        }
    }

    /// Retries until the log is claimed, or shut down.
    async fn claim_again(&self) -> ClaimResult {
        let mut backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
        loop {
            sleep(backoff.next_delay()).await;
            match self.shared.log.claim(self.token).await {
                Err(NotStored::Fenced { .. }) => {}
                claim => return claim,
            }
        }
    }
}

impl ClaimedAccount {
    fn new(
        (log, head): (Arc<dyn AccountLog>, LogHead),
        clean: bool,
        shared: &Arc<WorkerContext>,
    ) -> Self {
        let (log, fence) = WatchedLog::new(log);
        let (account, handle) = Account::new(log, head, clean, Arc::clone(shared));
        Self { account, handle: Arc::new(handle), fence }
    }

    /// Runs the account until it is closed; returns the reason if another epoch has claimed it.
    async fn run(mut self, slot: &AccountSlot) -> anyhow::Result<Option<NotStored>> {
        let mut running = pin!(self.account.run());
        let error = tokio::select! {
            biased;
            ended = &mut running => return ended.map(|()| None),
            Ok(error) = self.fence.wait_for(Option::is_some) => *error,
        };
        let Some(error) = error else { return Ok(None) };
        slot.set(Err(error.into()));
        for (on_outcome, outcome) in self.handle.in_flight.take_not_owned(&error) {
            on_outcome(outcome);
        }
        drop(self.handle.close(Duration::ZERO));
        running.await?;
        Ok(Some(error))
    }
}
