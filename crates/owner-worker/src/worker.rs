use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use contracts::{
    AccountId, Command, Epoch, ErrorCode, ErrorInfo, ErrorSource, Shard, UnloggedError,
    UnreadableCommand,
};
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use log_port::{ClaimResult, NotStored, OwnerToken};
use runtime::{Clock, OnFailure, Stage};
use tdlib::Tdlib;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use crate::account::{AccountSlot, AccountSupervisor};
use crate::config::WorkerConfig;
use crate::in_flight::Registration;
use crate::ports::{CommandOutcome, OnOutcome, WorkerPorts};
use crate::raw_message::RawMessage;
use crate::request::{CheckedCommand, DeliveryContext, WorkerRequest, event_name};
use crate::worker_context::WorkerContext;

/// How long a shard waits for claims that do not end although the log is up: something is wrong with
/// those accounts alone.
const CLAIM_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the accounts of the shards that this process owns.
pub struct Worker {
    shared: Arc<WorkerContext>,
    stage: Stage,
    shards: RwLock<HashMap<Shard, OwnedShard>>,
}

struct OwnedShard {
    accounts: BTreeMap<AccountId, Arc<AccountSlot>>,
}

impl Worker {
    /// Creates a worker that owns nothing yet; its accounts run in `stage`.
    pub fn new(
        stage: Stage,
        config: WorkerConfig,
        tdlib: Tdlib,
        ports: WorkerPorts,
        clock: Clock,
    ) -> Self {
        let shared = Arc::new(WorkerContext::new(config, tdlib, ports, clock));
        Self { shared, stage, shards: RwLock::default() }
    }

    /// Takes a shard over under `epoch`: claims its accounts' logs, waiting while the log is down,
    /// and starts to open them. From then on its requests are accepted. `clean` says whether the
    /// previous owner closed the shard cleanly; if not, each account's first event is `resync`. A
    /// shard that is open already is closed first, with no grace.
    ///
    /// An account that another epoch has is left out, and claimed again from time to time; likewise one
    /// whose keys the log cannot use, once all others are claimed.
    ///
    /// # Errors
    ///
    /// The log is shut down: nothing is opened.
    pub async fn open_shard(
        &self,
        shard: Shard,
        epoch: Epoch,
        clean: bool,
    ) -> Result<(), NotStored> {
        self.close_shard(shard, Duration::ZERO).await;
        let config = &self.shared.config;
        let accounts = config.accounts.iter().copied();
        let accounts = accounts.filter(|account| config.shard_count.shard_of(*account) == shard);
        let tokens = accounts.map(|account| OwnerToken { account, epoch, served: true });
        let claims = self.claim_all(tokens.collect()).await?;
        let accounts = claims.into_iter().map(|(token, claim)| {
            let context = Arc::clone(&self.shared);
            let (supervisor, claimed) = AccountSupervisor::new(context, token, claim, clean);
            let slot = supervisor.slot();
            self.stage.spawn("account", OnFailure::Log, supervisor.run(claimed));
            (token.account, slot)
        });
        let owned = OwnedShard { accounts: accounts.collect() };
        runtime::write_lock(&self.shards).insert(shard, owned);
        Ok(())
    }

    /// Claims accounts together. Those that still wait when the log has been up for
    /// [`CLAIM_PATIENCE`] have no result.
    async fn claim_all(
        &self,
        tokens: Vec<OwnerToken>,
    ) -> Result<Vec<(OwnerToken, Option<ClaimResult>)>, NotStored> {
        let mut claims: Vec<_> = tokens.into_iter().map(|token| (token, None)).collect();
        let mut waiting: FuturesUnordered<_> = claims
            .iter()
            .enumerate()
            .map(|(at, (token, _))| self.shared.log.claim(*token).map(move |claim| (at, claim)))
            .collect();
        let mut patience = pin!(up_for(self.shared.log.up(), CLAIM_PATIENCE));
        loop {
            tokio::select! {
                biased;
                claimed = waiting.next() => match claimed {
                    Some((_, Err(NotStored::Closed))) => return Err(NotStored::Closed),
                    Some((at, claim)) => claims[at].1 = Some(claim),
                    None => break,
                },
                () = &mut patience => break,
            }
        }
        drop(waiting);
        Ok(claims)
    }

    /// Closes a shard's accounts: running commands may finish within `grace`, queued ones are left
    /// to redelivery, and TDLib has closed every database when this returns.
    ///
    /// From now on the shard's requests are dropped. TDLib closes as many accounts at a time as may
    /// open at a time, those of a shard roughly in the order of their ids; with a `grace` of zero,
    /// as when the shard's lease is over, all at once. Closing again may shorten the grace.
    pub async fn close_shard(&self, shard: Shard, grace: Duration) {
        let closed: Vec<_> = {
            let shards = runtime::read_lock(&self.shards);
            let slots = shards.get(&shard).map(|owned| owned.accounts.values());
            slots.into_iter().flatten().map(|slot| slot.close(grace)).collect()
        };
        join_all(closed).await;
        runtime::write_lock(&self.shards).remove(&shard);
    }

    /// How many accounts it runs now: those of its shards, without those whose log another epoch has.
    pub fn account_count(&self) -> usize {
        let shards = runtime::read_lock(&self.shards);
        let slots = shards.values().flat_map(|owned| owned.accounts.values());
        slots.filter(|slot| slot.handle().is_ok()).count()
    }

    /// Checks a message and queues it for its account. Never blocks.
    ///
    /// `on_outcome` is called with the outcome, or dropped if the message must be redelivered: its
    /// shard is not owned by this worker, or is being given up.
    pub fn submit(&self, request: WorkerRequest, on_outcome: OnOutcome) {
        let received_at = self.shared.clock.now();
        let WorkerRequest { body, key, properties, refusal, redelivered, expired } = request;
        let (account, flow) = (key.account, key.flow);
        let message = RawMessage::new(body, Some(key), properties, received_at);
        let parsed = match refusal {
            Some(refusal) => Err(refusal),
            None => Command::read(&message.body, &message.properties, message.key.as_ref()),
        };
        let shard = self.shared.config.shard_count.shard_of(account);
        let handle =
            self.with_shard(shard, |owned| owned.accounts.get(&account).map(|slot| slot.handle()));
        let Some(handle) = handle else {
            return debug!(%account, %shard, "a command for a shard that is not owned here");
        };
        let log = match handle {
            Some(Ok(handle)) => Arc::clone(&handle.log),
            Some(Err(why)) => return on_outcome(message.not_owned(&why)),
            None => return on_outcome(unknown_account(account, &parsed, &message)),
        };
        let delivery = DeliveryContext { log, flow, redelivered, expired, id: None };
        let checked = CheckedCommand::check(parsed, &message, delivery, &self.shared);
        self.with_shard(shard, |owned| self.submit_checked(owned, checked, message, on_outcome));
    }

    fn submit_checked(
        &self,
        owned: &OwnedShard,
        checked: CheckedCommand,
        message: RawMessage,
        on_outcome: OnOutcome,
    ) {
        let Some(slot) = owned.accounts.get(&checked.account()) else { return };
        let handle = match slot.handle() {
            Ok(handle) => handle,
            Err(why) => return on_outcome(message.not_owned(&why)),
        };
        let (key, fingerprint) = (checked.key(), checked.fingerprint());
        match handle.in_flight.register(key, fingerprint, message, Some(on_outcome)) {
            Registration::New(guard) => handle.submit(checked.into_work(guard)),
            Registration::Duplicate => {}
            Registration::Conflict(on_outcome) => {
                checked.reject_conflict(&self.shared, on_outcome);
            }
        }
    }

    /// Runs `with` on an owned shard; `None` if this worker does not own it.
    fn with_shard<T>(&self, shard: Shard, with: impl FnOnce(&OwnedShard) -> T) -> Option<T> {
        let shards = runtime::read_lock(&self.shards);
        shards.get(&shard).map(with)
    }
}

/// Accounts that are still open close with their shard.
impl Drop for OwnedShard {
    fn drop(&mut self) {
        self.accounts.values().for_each(|slot| drop(slot.close(Duration::ZERO)));
    }
}

/// The outcome of a message for an account that no worker serves. It has no log, so that nobody can
/// fill Redis with the keys of accounts that do not exist.
fn unknown_account(
    account: AccountId,
    parsed: &Result<Command<'_>, UnreadableCommand>,
    message: &RawMessage,
) -> CommandOutcome {
    let error = format!("unknown account: {account}");
    let (name, id, correlation_id) = match parsed {
        Ok(command) => (Some(&*command.name), &command.id, command.meta.correlation_id.as_deref()),
        Err(unreadable) => (unreadable.name.as_deref(), &unreadable.id, None),
    };
    let event = UnloggedError {
        account: Some(account),
        command: Some(&event_name(name.unwrap_or_default())),
        id: id.as_ref(),
        correlation_id: correlation_id.or(message.properties.correlation_id.as_deref()),
        error: &error,
        info: &ErrorInfo::new(ErrorCode::UnknownAccount, ErrorSource::Validation, false),
        occurred_at: message.received_at,
    };
    let event = Some(event.encode());
    CommandOutcome::DeadLetter { reason: error, event }
}

/// Waits until the log has been up for this long without a break.
async fn up_for(mut up: watch::Receiver<bool>, long: Duration) {
    while up.wait_for(|up| *up).await.is_ok() {
        if timeout(long, up.wait_for(|up| !*up)).await.is_err() {
            return;
        }
    }
    pending::<()>().await;
}
