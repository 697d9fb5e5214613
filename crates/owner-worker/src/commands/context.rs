//! What a running command can use: its account's TDLib client, locks on shared resources, and time
//! limits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use contracts::Event;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, try_join_all};
use jiff::Timestamp;
use log_port::AccountLog;
use runtime::CancellationToken;
use serde_json::value::RawValue;
use tdlib::answers::{PrivacyRules, UserFields};
use tdlib::methods::{
    GetContacts, GetUser, GetUserPrivacySettingRules, SetUserPrivacySettingRules,
};
use tdlib::{CallError, Client, Method, PendingCall};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::error::CommandError;
use crate::failure::Failure;
use crate::normalize::privacy::PrivacySetting;
use crate::updates::{InitialReads, privacy_event};
use crate::worker_context::WorkerContext;

/// What an account's task and its running commands share.
pub(crate) struct AccountContext {
    pub(crate) log: Arc<dyn AccountLog>,
    pub(crate) initial_reads: InitialReads,
    /// Cancelled when the account is given up: another owner will run what has not finished.
    pub(crate) given_up: CancellationToken,
    /// Cancelled when commands that are still running are no longer waited for.
    pub(crate) cut_short: CancellationToken,
    /// Whether TDLib has loaded the contacts since the account was opened.
    contacts_loaded: AtomicBool,
    locks: Mutex<HashMap<Resource, Arc<tokio::sync::Mutex<()>>>>,
}

impl AccountContext {
    pub(crate) fn new(log: Arc<dyn AccountLog>) -> Self {
        Self {
            log,
            initial_reads: InitialReads::default(),
            given_up: CancellationToken::new(),
            cut_short: CancellationToken::new(),
            contacts_loaded: AtomicBool::new(false),
            locks: Mutex::default(),
        }
    }

    /// Forgets what TDLib forgets when the account is opened.
    pub(crate) fn reset(&self) {
        self.initial_reads.reset();
        self.contacts_loaded.store(false, Ordering::Relaxed);
    }

    fn lock_of(&self, resource: Resource) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = runtime::lock(&self.locks);
        Arc::clone(locks.entry(resource).or_default())
    }
}

/// What one writer of an account locks at a time, across its lanes: it reads, changes and reads back
/// without another writer in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resource {
    BlockList,
    CloseFriends,
    /// One object in Telegram's API that TDLib reads and writes as a whole; includes new-chat privacy.
    GlobalPrivacy,
    Privacy(PrivacySetting),
    Sessions,
}

/// What a running command can use.
pub(crate) struct Context {
    client: Client,
    shared: Arc<WorkerContext>,
    common: Arc<AccountContext>,
    deadline: Timestamp,
    dispatched: AtomicBool,
    overdue: Mutex<Vec<BoxFuture<'static, ()>>>,
    held_locks: Mutex<Vec<OwnedMutexGuard<()>>>,
}

impl Context {
    pub(crate) fn new(
        client: Client,
        shared: Arc<WorkerContext>,
        common: Arc<AccountContext>,
        deadline: Timestamp,
    ) -> Self {
        Self {
            client,
            shared,
            common,
            deadline,
            dispatched: AtomicBool::new(false),
            overdue: Mutex::default(),
            held_locks: Mutex::default(),
        }
    }

    /// Whether the account is being given up: what TDLib has not answered is better left to the next
    /// owner, where running it again is harmless.
    pub(crate) fn is_given_up(&self) -> bool {
        self.common.given_up.is_cancelled()
    }

    /// Waits for something that may take as long as the log is down; `None` when the account is
    /// closed meanwhile.
    pub(crate) async fn unless_cut_short<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        self.common.cut_short.run_until_cancelled(what).await
    }

    /// Calls a method that changes nothing.
    pub(super) async fn ask<M>(&self, method: M) -> Result<M::Answer, CommandError>
    where
        M: Method,
        M::Answer: Send + 'static,
    {
        let mut pending = self.client.start(method)?;
        Ok(pending.wait(self.shared.config.timeout).await?)
    }

    /// Calls a method whose object TDLib may not know; `None` when it does not.
    pub(super) async fn known<M>(&self, method: M) -> Result<Option<M::Answer>, CommandError>
    where
        M: Method,
        M::Answer: Send + 'static,
    {
        match self.ask(method).await {
            Ok(answer) => Ok(Some(answer)),
            Err(CommandError::Td(error)) if matches!(error.code, 400 | 404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The users whom TDLib can use in requests, in the order of the ids; `None` for the others.
    ///
    /// TDLib knows only those that it has seen: right after a login not even the contacts. They are
    /// loaded, once per opening, before anybody counts as unknown.
    pub(super) async fn find_users(
        &self,
        ids: &[i64],
    ) -> Result<Vec<Option<UserFields>>, CommandError> {
        let users = self.cached_users(ids).await?;
        let loaded = self.common.contacts_loaded.load(Ordering::Relaxed);
        if loaded || users.iter().all(Option::is_some) {
            return Ok(users);
        }
        self.ask(GetContacts).await?;
        self.common.contacts_loaded.store(true, Ordering::Relaxed);
        self.cached_users(ids).await
    }

    async fn cached_users(&self, ids: &[i64]) -> Result<Vec<Option<UserFields>>, CommandError> {
        let users = ids.iter().map(|&user_id| self.known(GetUser { user_id }));
        let users = try_join_all(users).await?;
        Ok(users.into_iter().map(|user| user.filter(|user| user.have_access)).collect())
    }

    /// Calls a method that changes something. From now on, no answer means an unknown outcome.
    pub(super) async fn change<M>(&self, method: M) -> Result<M::Answer, CommandError>
    where
        M: Method,
        M::Answer: Send + 'static,
    {
        self.effect(self.client.start(method)?).await
    }

    /// Calls any method by name; counts as a change.
    pub(super) async fn change_raw(
        &self,
        method: &str,
        params: &RawValue,
    ) -> Result<Box<RawValue>, CommandError> {
        self.effect(self.client.start_raw(method, params)?).await
    }

    /// Reads the rules of a privacy setting. TDLib also sends an update for the first read of each,
    /// which is no change and not published.
    pub(super) async fn privacy_rules(
        &self,
        setting: PrivacySetting,
        method: GetUserPrivacySettingRules,
    ) -> Result<PrivacyRules, CommandError> {
        let first = self.common.initial_reads.begin(setting);
        let answer = self.ask(method).await;
        if first {
            let changes = self.common.initial_reads.end(setting, answer.as_ref().ok());
            for event in changes {
                self.publish(event);
            }
        }
        answer
    }

    /// Changes the rules of a privacy setting; the update that follows is published.
    pub(super) async fn set_privacy_rules(
        &self,
        setting: PrivacySetting,
        method: SetUserPrivacySettingRules,
    ) -> Result<(), CommandError> {
        self.common.initial_reads.change(setting);
        self.change(method).await.map(drop)
    }

    /// Publishes the rules that were set, unless TDLib has sent an update; it sends none where the
    /// rules are empty and it knew of none before.
    pub(super) fn publish_privacy_rules(&self, setting: PrivacySetting, rules: &PrivacyRules) {
        if self.common.initial_reads.must_publish(setting, rules) {
            let now = self.shared.clock.now();
            self.publish(privacy_event(
                self.common.log.token().account,
                setting,
                rules.clone(),
                now,
            ));
        }
    }

    fn publish(&self, event: Event) {
        self.common.log.append(event, None, None);
    }

    /// Locks `resource` until the command ends; waits for it until the command's deadline.
    pub(super) async fn lock_resource(&self, resource: Resource) -> Result<(), CommandError> {
        let left = self.deadline.duration_since(self.shared.clock.now());
        let left = left.try_into().unwrap_or_default();
        let lock = timeout(left, self.common.lock_of(resource).lock_owned()).await;
        let in_time = lock.ok().filter(|_| self.shared.clock.now() < self.deadline);
        let lock = in_time.ok_or_else(|| CommandError::Refused(Failure::expired()))?;
        runtime::lock(&self.held_locks).push(lock);
        Ok(())
    }

    /// Whether a change has been dispatched to TDLib.
    pub(crate) fn dispatched(&self) -> bool {
        self.dispatched.load(Ordering::Relaxed)
    }

    /// Waits until TDLib has answered each change that timed out, or the account is closed: the next
    /// command of the lane must not overtake an effect that is still under way. An answer that never
    /// comes must not stop the lane: the wait has a limit.
    pub(crate) async fn settle_overdue(self) {
        let overdue = std::mem::take(&mut *runtime::lock(&self.overdue));
        join_all(overdue).await;
    }

    async fn effect<A: Send + 'static>(
        &self,
        mut pending: PendingCall<A>,
    ) -> Result<A, CommandError> {
        self.dispatched.store(true, Ordering::Relaxed);
        match pending.wait(self.shared.config.timeout).await {
            Err(CallError::Deadline) => {
                let limit = self.shared.config.late_timeout;
                let late = timeout(limit, pending.wait_without_deadline()).map(drop).boxed();
                runtime::lock(&self.overdue).push(late);
                Err(CommandError::Deadline)
            }
            answer => Ok(answer?),
        }
    }
}
