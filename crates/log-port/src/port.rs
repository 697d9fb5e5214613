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
    /// down. From then on nothing of an older epoch is written. Claiming again under the same epoch
    /// changes nothing.
    ///
    /// Fails with [`NotStored::Fenced`] if a newer owner has claimed the account.
    fn claim(&self, token: OwnerToken) -> BoxFuture<'_, ClaimResult>;

    /// The log of an account that no worker runs, for refusals; its keys expire soon. It is claimed
    /// along with the first event.
    fn unserved(&self, account: AccountId, epoch: Epoch) -> Arc<dyn AccountLog>;

    /// Whether the log is far behind, so that updates that are soon stale should be dropped.
    fn is_behind(&self) -> bool;

    /// Whether the log can be reached; while it cannot, nothing is dispatched to TDLib.
    fn up(&self) -> watch::Receiver<bool>;
}

/// The right to write one account's log, ledger and pending lists under one epoch. The binary's is
/// `publisher::AccountWriter`.
///
/// Requests are executed in the order of the calls, and none of them once a newer owner has claimed
/// the account. Every call queues its request and returns; the future of [`AccountLog::admit`] waits
/// for the verdict.
pub trait AccountLog: Send + Sync {
    /// The token that it was claimed with.
    fn token(&self) -> OwnerToken;

    /// Appends an event. An answer also completes its command, in the same step. `on_stored` is called
    /// once the event is in the log, or will never be.
    fn append(
        &self,
        event: Event,
        completion: Option<CommandCompletion>,
        on_stored: Option<OnStored>,
    );

    /// Asks the ledger whether a command may be run, or answered without being run; waits while the
    /// log is down. The request is queued by this call, not by the first poll of the future.
    fn admit(
        &self,
        admission: Admission,
    ) -> BoxFuture<'static, Result<AdmissionVerdict, NotStored>>;

    /// Undoes a dispatch: the command was not sent to TDLib after all, or is idempotent and left to
    /// the next owner.
    fn undo_dispatch(&self, command: CommandId);

    /// Appends commands to their pending lists, in order; those that are in the list already keep
    /// their position, and those that are done are skipped. `on_pending` is called once all are in
    /// the list.
    fn push_pending(&self, commands: Vec<PendingCommand>, on_pending: OnPending);

    /// Removes a command whose answer completes nothing from its pending list: it was answered
    /// before, or its id belongs to another command.
    fn remove_pending(&self, position: PendingPosition);

    /// Sets a field of the account's head.
    fn set_head_field(&self, field: HeadField);
}

/// A claimed log, and its head at that moment.
pub type ClaimResult = Result<(Arc<dyn AccountLog>, LogHead), NotStored>;

/// Called once, with the event's JSON when it is in the log. It runs on the log's task and must not
/// block.
pub type OnStored = Box<dyn FnOnce(Result<Bytes, NotStored>) + Send>;

/// Called once, when the commands are in their pending lists. It runs on the log's task and must not
/// block.
pub type OnPending = Box<dyn FnOnce(Result<(), NotStored>) + Send>;
