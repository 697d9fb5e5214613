use std::sync::Arc;

use bytes::Bytes;
use contracts::{AccountId, CommandId, Epoch, Event};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::{
    Admission, AdmissionVerdict, CommandCompletion, HeadField, LogHead, NotStored, OwnerToken,
    PendingCommand, PendingPosition,
};

/// The event log with its ledger and pending lists, as far as an owner needs them.
pub trait LogPort: Send + Sync + 'static {
    /// Claims an account for an owner's epoch, before the account is opened; waits while the log is
    /// down. From then on nothing of an older epoch is written. Claiming twice is the same as once.
    ///
    /// The error says why another owner's claim wins.
    fn claim(
        &self,
        token: OwnerToken,
    ) -> BoxFuture<'_, Result<(Arc<dyn AccountLog>, LogHead), NotStored>>;

    /// The log of an account that no worker runs, for refusals; its keys expire soon.
    fn unserved(&self, account: AccountId, epoch: Epoch) -> Arc<dyn AccountLog>;

    /// Whether the log is far behind, so that updates which are soon stale are better dropped.
    fn is_behind(&self) -> bool;

    /// Whether the log can be reached; while it cannot, nothing is dispatched to TDLib.
    fn up(&self) -> watch::Receiver<bool>;
}

/// The right to write one account's log, ledger and pending lists under one epoch.
///
/// Requests are executed in the order of the calls, and none of them once a newer owner has claimed
/// the account. Only the future of [`AccountLog::admit`] waits; the other calls queue and return.
pub trait AccountLog: Send + Sync {
    /// By what right it writes.
    fn token(&self) -> OwnerToken;

    /// Queues an event. An answer also completes its command, in the same step. `on_stored` is
    /// called once the event is in the log.
    fn append(
        &self,
        event: Event,
        completion: Option<CommandCompletion>,
        on_stored: Option<OnStored>,
    );

    /// Asks the ledger whether a command may be run, or answered without being run; waits while the
    /// log is down. The request is queued by this call, before the future is awaited.
    fn admit(
        &self,
        admission: Admission,
    ) -> BoxFuture<'static, Result<AdmissionVerdict, NotStored>>;

    /// Takes a dispatch back: the command was not sent to TDLib after all, or is idempotent and left
    /// to the next owner.
    fn undo_dispatch(&self, command: CommandId);

    /// Appends commands to their pending lists, in order; those that are there already keep their
    /// position. `on_pending` is called once they are there.
    fn push_pending(&self, commands: Vec<PendingCommand>, on_pending: OnPending);

    /// Removes a command from its pending list whose answer completes nothing: it was answered
    /// before, or its id belongs to another command.
    fn remove_pending(&self, position: PendingPosition);

    /// Sets a field of the account's head.
    fn set_head_field(&self, field: HeadField);
}

/// Called once, with the event's JSON when the log has it. It runs on the log's task and must not
/// block.
pub type OnStored = Box<dyn FnOnce(Result<Bytes, NotStored>) + Send>;

/// Called once, when the commands are in their pending lists. It must not block.
pub type OnPending = Box<dyn FnOnce(Result<(), NotStored>) + Send>;
