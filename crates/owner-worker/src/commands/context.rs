//! What a running command has: its account's TDLib, its turns, and how long things may take.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use contracts::Event;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use log_port::AccountLog;
use runtime::CancellationToken;
use serde_json::value::RawValue;
use tdlib::methods::{GetUserPrivacySettingRules, SetUserPrivacySettingRules};
use tdlib::types::UserPrivacySettingRules;
use tdlib::{CallError, Client, Method, Pending};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::timeout;

use super::CommandError;
use crate::answer::Failure;
use crate::normalize::privacy::PrivacySetting;
use crate::updates::{InitialReads, privacy_event};
use crate::worker::Shared;

/// What an account's task and its running commands share.
pub(crate) struct AccountContext {
    pub(crate) log: Arc<dyn AccountLog>,
    pub(crate) initial_reads: InitialReads,
    /// Cancelled when the account is given up: another owner will run what is not finished.
    pub(crate) given_up: CancellationToken,
    /// Cancelled when what still runs then is not waited for any longer.
    pub(crate) cut_short: CancellationToken,
    turns: Mutex<HashMap<Resource, Arc<Turn<()>>>>,
}

impl AccountContext {
    pub(crate) fn new(log: Arc<dyn AccountLog>) -> Self {
        Self {
            log,
            initial_reads: InitialReads::default(),
            given_up: CancellationToken::new(),
            cut_short: CancellationToken::new(),
            turns: Mutex::default(),
        }
    }

    fn turn(&self, thing: Resource) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(thing).or_default())
    }
}

/// What writers of one account take turns at, across its lanes: each reads, changes and reads back
/// without another in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resource {
    BlockList,
    CloseFriends,
    /// One object of Telegram's that TDLib reads and writes as a whole; new chats are in it.
    GlobalPrivacy,
    Privacy(PrivacySetting),
    Sessions,
}

/// What a running command has.
pub(crate) struct Context {
    client: Client,
    shared: Arc<Shared>,
    common: Arc<AccountContext>,
    deadline: Timestamp,
    dispatched: AtomicBool,
    overdue: Mutex<Vec<BoxFuture<'static, ()>>>,
    turns: Mutex<Vec<OwnedMutexGuard<()>>>,
}

impl Context {
    pub(crate) fn new(
        client: Client,
        shared: Arc<Shared>,
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
            turns: Mutex::default(),
        }
    }

    /// Whether the account is being given up, so that what TDLib has not answered is better run
    /// again by the next owner, where that is harmless.
    pub(crate) fn is_given_up(&self) -> bool {
        self.common.given_up.is_cancelled()
    }

    /// Waits for something that may take as long as the log is away; `None` when the account is
    /// closed meanwhile.
    pub(crate) async fn unless_cut_short<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        self.common.cut_short.run_until_cancelled(what).await
    }

    /// Asks TDLib one thing; nothing is changed by it.
    pub(super) async fn ask<M>(&self, method: M) -> Result<M::Answer, CommandError>
    where
        M: Method,
        M::Answer: Send + 'static,
    {
        let mut pending = self.client.start(method)?;
        Ok(pending.wait(self.shared.config.timeout).await?)
    }

    /// Asks for something that TDLib may not know; `None` when it does not.
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

    /// Has TDLib change something. From now on, no answer means that the outcome is unknown.
    pub(super) async fn change<M>(&self, method: M) -> Result<M::Answer, CommandError>
    where
        M: Method,
        M::Answer: Send + 'static,
    {
        self.effect(self.client.start(method)?).await
    }

    /// Calls any method by its name; it counts as a change.
    pub(super) async fn change_raw(
        &self,
        method: &str,
        params: &RawValue,
    ) -> Result<Box<RawValue>, CommandError> {
        self.effect(self.client.start_raw(method, params)?).await
    }

    /// Reads the rules of a privacy setting. TDLib tells the first read of each as an update too,
    /// which is no news and not published.
    pub(super) async fn privacy_rules(
        &self,
        setting: PrivacySetting,
        method: GetUserPrivacySettingRules,
    ) -> Result<UserPrivacySettingRules, CommandError> {
        let first = self.common.initial_reads.begin(setting);
        let answer = self.ask(method).await;
        if first {
            let news = self.common.initial_reads.end(setting, answer.as_ref().ok());
            for event in news {
                self.tell(event);
            }
        }
        answer
    }

    /// Changes the rules of a privacy setting; the update that tells so is news.
    pub(super) async fn set_privacy_rules(
        &self,
        setting: PrivacySetting,
        method: SetUserPrivacySettingRules,
    ) -> Result<(), CommandError> {
        self.common.initial_reads.change(setting);
        self.change(method).await.map(drop)
    }

    /// Tells the rules that were set, unless TDLib has done so; it does not where they are the
    /// empty ones and it knew of none.
    pub(super) fn publish_privacy_rules(&self, setting: PrivacySetting, rules: &UserPrivacySettingRules) {
        if self.common.initial_reads.tell(setting, rules) {
            let now = self.shared.clock.now();
            self.tell(privacy_event(self.common.log.token().account, setting, rules.clone(), now));
        }
    }

    fn tell(&self, event: Event) {
        self.common.log.append(event, None, None);
    }

    /// Waits for this command's turn at `thing`, until its deadline, and keeps it to the end.
    pub(super) async fn lock_resource(&self, thing: Resource) -> Result<(), CommandError> {
        let left = self.deadline.duration_since(self.shared.clock.now());
        let left = left.try_into().unwrap_or_default();
        let turn = timeout(left, self.common.turn(thing).lock_owned()).await;
        let in_time = turn.ok().filter(|_| self.shared.clock.now() < self.deadline);
        let turn = in_time.ok_or_else(|| CommandError::Refused(Failure::expired()))?;
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).push(turn);
        Ok(())
    }

    /// Whether TDLib has been handed something that changes things.
    pub(crate) fn dispatched(&self) -> bool {
        self.dispatched.load(Ordering::Relaxed)
    }

    /// Waits until TDLib has answered, or the account is closed, for each change whose time ran out:
    /// what comes next in the lane must not overtake an effect that is still on its way.
    pub(crate) async fn settle_overdue(self) {
        let overdue = self.overdue.into_inner().unwrap_or_else(PoisonError::into_inner);
        for overdue in overdue {
            overdue.await;
        }
    }

    async fn effect<A: Send + 'static>(&self, mut pending: Pending<A>) -> Result<A, CommandError> {
        self.dispatched.store(true, Ordering::Relaxed);
        match pending.wait(self.shared.config.timeout).await {
            Err(CallError::Deadline) => {
                let late = pending.late().map(drop).boxed();
                self.overdue.lock().unwrap_or_else(PoisonError::into_inner).push(late);
                Err(CommandError::Deadline)
            }
            answer => Ok(answer?),
        }
    }
}
