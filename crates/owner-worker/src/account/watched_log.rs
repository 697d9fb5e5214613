use std::sync::Arc;

use contracts::{Event, LedgerKey};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use log_port::{
    AccountLog, Admission, AdmissionVerdict, CommandCompletion, HeadField, NotStored, OnPending,
    OnStored, OwnerToken, PendingCommand, PendingPosition,
};
use tokio::sync::watch;

/// An account's log that tells when another epoch has it.
pub(super) struct WatchedLog {
    log: Arc<dyn AccountLog>,
    fence: FenceSender,
}

/// Sends the first refusal.
#[derive(Clone)]
struct FenceSender(watch::Sender<Option<NotStored>>);

impl WatchedLog {
    pub(super) fn new(log: Arc<dyn AccountLog>) -> (Arc<Self>, watch::Receiver<Option<NotStored>>) {
        let (sender, fence) = watch::channel(None);
        (Arc::new(Self { log, fence: FenceSender(sender) }), fence)
    }
}

impl FenceSender {
    fn observe<T>(&self, outcome: &Result<T, NotStored>) {
        if let Err(error @ NotStored::Fenced { .. }) = outcome {
            self.0.send_replace(Some(*error));
        }
    }
}

impl AccountLog for WatchedLog {
    fn token(&self) -> OwnerToken {
        self.log.token()
    }

    fn append(
        &self,
        event: Event,
        completion: Option<CommandCompletion>,
        on_stored: Option<OnStored>,
    ) {
        let fence = self.fence.clone();
        let observed = Box::new(move |stored| {
            fence.observe(&stored);
            if let Some(on_stored) = on_stored {
                on_stored(stored);
            }
        });
        self.log.append(event, completion, Some(observed));
    }

    fn admit(
        &self,
        admission: Admission,
    ) -> BoxFuture<'static, Result<AdmissionVerdict, NotStored>> {
        let (fence, verdict) = (self.fence.clone(), self.log.admit(admission));
        verdict.inspect(move |verdict| fence.observe(verdict)).boxed()
    }

    fn undo_dispatch(&self, command: LedgerKey) {
        self.log.undo_dispatch(command);
    }

    fn push_pending(&self, commands: Vec<PendingCommand>, on_pending: OnPending) {
        let fence = self.fence.clone();
        let observed = Box::new(move |pending| {
            fence.observe(&pending);
            on_pending(pending);
        });
        self.log.push_pending(commands, observed);
    }

    fn remove_pending(&self, position: PendingPosition) {
        self.log.remove_pending(position);
    }

    fn set_head_field(&self, field: HeadField) {
        self.log.set_head_field(field);
    }
}
