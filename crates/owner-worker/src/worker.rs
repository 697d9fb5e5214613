use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use contracts::{
    AccountId, Command, Epoch, ErrorCode, ErrorInfo, ErrorSource, Shard, UnloggedError,
    UnreadableCommand,
};
use futures_util::future::{join_all, try_join_all};
use log_port::{NotStored, OwnerToken};
use runtime::{Clock, OnFailure, Stage};
use tdlib::Tdlib;

use crate::account::{Account, AccountHandle};
use crate::config::WorkerConfig;
use crate::in_flight::Registration;
use crate::ports::{CommandOutcome, OnOutcome, WorkerPorts};
use crate::raw_message::RawMessage;
use crate::request::{CheckedCommand, DeliveryContext, WorkerRequest, event_name};
use crate::worker_context::WorkerContext;

/// Runs the accounts of the shards that this process owns.
pub struct Worker {
    shared: Arc<WorkerContext>,
    stage: Stage,
    shards: RwLock<HashMap<Shard, OwnedShard>>,
}

struct OwnedShard {
    accounts: BTreeMap<AccountId, AccountHandle>,
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
    /// # Errors
    ///
    /// A newer owner has claimed one of the accounts, or the log is shut down: nothing is opened.
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
        let claims = accounts.map(|account| {
            let token = OwnerToken { account, epoch, served: true };
            async move { Ok((account, self.shared.log.claim(token).await?)) }
        });
        let claims = try_join_all(claims).await?;
        let accounts = claims.into_iter().map(|(account, (log, head))| {
            let (task, handle) = Account::new(log, head, clean, Arc::clone(&self.shared));
            self.stage.spawn("account", OnFailure::Log, task.run());
            (account, handle)
        });
        let owned = OwnedShard { accounts: accounts.collect() };
        runtime::write_lock(&self.shards).insert(shard, owned);
        Ok(())
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
            let handles = shards.get(&shard).map(|owned| owned.accounts.values());
            handles.into_iter().flatten().map(|handle| handle.close(grace)).collect()
        };
        join_all(closed).await;
        runtime::write_lock(&self.shards).remove(&shard);
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
        let log = self.with_shard(shard, |owned| {
            owned.accounts.get(&account).map(|handle| Arc::clone(&handle.log))
        });
        let Some(log) = log else {
            return tracing::debug!(%account, %shard, "a command for a shard that is not owned here");
        };
        let Some(log) = log else {
            return on_outcome(unknown_account(account, &parsed, &message));
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
        let Some(handle) = owned.accounts.get(&checked.account()) else { return };
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
