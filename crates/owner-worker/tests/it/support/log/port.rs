//! The worker's view of a log in memory.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use contracts::{AccountId, Epoch, Event, LedgerKey, Properties};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use log_port::{
    AccountLog, Admission, AdmissionVerdict, CommandCompletion, HeadField, LogHead, LogPort,
    NotStored, OnPending, OnStored, OwnerToken, PendingCommand, PendingPosition,
};
use owner_worker::ReplySender;
use serde_json::Value;
use tokio::sync::watch;

use super::MemoryLog;
use super::state::LogState;

impl LogPort for MemoryLog {
    fn claim(
        &self,
        token: OwnerToken,
    ) -> BoxFuture<'_, Result<(Arc<dyn AccountLog>, LogHead), NotStored>> {
        let mut up = self.up.subscribe();
        async move {
            up.wait_for(|up| *up).await.map_err(|_| NotStored::Closed)?;
            let mut held = self.held_claims.subscribe();
            let free = held.wait_for(|held| *held != Some(token.account)).await;
            free.map_err(|_| NotStored::Closed)?;
            let claimed = self.lock().claim(token)?;
            Ok((account_log(self, token), claimed))
        }
        .boxed()
    }

    fn unserved(&self, account: AccountId, epoch: Epoch) -> Arc<dyn AccountLog> {
        account_log(self, OwnerToken { account, epoch, served: false })
    }

    fn is_behind(&self) -> bool {
        self.behind.load(Ordering::SeqCst)
    }

    fn up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }
}

fn account_log(log: &MemoryLog, token: OwnerToken) -> Arc<dyn AccountLog> {
    Arc::new(MemoryAccountLog { token, log: log.this.upgrade().unwrap() })
}

/// The right to write one account's part of a [`MemoryLog`].
struct MemoryAccountLog {
    token: OwnerToken,
    log: Arc<MemoryLog>,
}

impl MemoryAccountLog {
    /// Writes, unless a newer owner has claimed the account.
    fn write(&self, write: impl FnOnce(&mut LogState)) -> Result<(), NotStored> {
        let mut state = self.log.lock();
        state.own(self.token).map(|()| write(&mut state))
    }
}

impl AccountLog for MemoryAccountLog {
    fn token(&self) -> OwnerToken {
        self.token
    }

    fn append(
        &self,
        event: Event,
        completion: Option<CommandCompletion>,
        on_stored: Option<OnStored>,
    ) {
        if self.log.is_crashed() {
            return;
        }
        let result = self.log.lock().append(self.token, &event, completion);
        self.log.count_change();
        if let Some(on_stored) = on_stored {
            self.log.notify(Box::new(move || on_stored(result)));
        }
    }

    fn admit(
        &self,
        admission: Admission,
    ) -> BoxFuture<'static, Result<AdmissionVerdict, NotStored>> {
        if self.log.is_crashed() {
            return pending().boxed();
        }
        self.log.admissions.send_modify(|admissions| *admissions += 1);
        let (mut up, mut answering) = (self.log.up.subscribe(), self.log.answering.subscribe());
        let verdict = self.log.lock().admit(self.token, admission);
        async move {
            up.wait_for(|up| *up).await.map_err(|_| NotStored::Closed)?;
            answering.wait_for(|answering| *answering).await.map_err(|_| NotStored::Closed)?;
            verdict
        }
        .boxed()
    }

    fn undo_dispatch(&self, command: LedgerKey) {
        if !self.log.is_crashed() {
            self.write(|state| state.undo_dispatch(self.token, command)).ok();
        }
    }

    fn push_pending(&self, commands: Vec<PendingCommand>, on_pending: OnPending) {
        if self.log.is_crashed() {
            return;
        }
        let push = |state: &mut LogState| {
            for command in commands {
                state.push_pending(self.token.account, command);
            }
        };
        let result = self.write(push);
        self.log.notify(Box::new(move || on_pending(result)));
        self.log.count_change();
    }

    fn remove_pending(&self, position: PendingPosition) {
        if !self.log.is_crashed() {
            self.write(|state| state.remove_pending(self.token.account, position)).ok();
            self.log.count_change();
        }
    }

    fn set_head_field(&self, field: HeadField) {
        if !self.log.is_crashed() {
            self.write(|state| state.set_head_field(self.token, field)).ok();
        }
    }
}

impl ReplySender for MemoryLog {
    fn reply(&self, command: &Properties, event: Bytes) {
        if !self.is_crashed() {
            let event: Value = serde_json::from_slice(&event).unwrap();
            self.lock().replies.push((command.clone(), event["payload"].clone()));
        }
    }
}
