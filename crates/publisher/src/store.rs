//! What a store of logs must provide; the writer knows no more of Redis than this.

mod dispatch_token;
mod event_batch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use contracts::{AccountId, Epoch, EventId, Flow, LedgerKey};
use log_port::{Admission, AdmissionVerdict, HeadField, LogHead, PendingCommand, PendingPosition};
use runtime::Backoff;

pub(crate) use dispatch_token::DispatchToken;
pub(crate) use event_batch::{EventBatch, EventEntry};

/// Delays between attempts to reach the store.
pub(crate) fn retry_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(50), Duration::from_secs(2))
}

/// One operation on one account's keys; atomic and idempotent.
#[derive(Debug)]
pub(crate) struct StoreRequest {
    pub account: AccountId,
    /// Refused when the head has a newer one.
    pub epoch: Epoch,
    /// Whether a worker runs the account: its keys then live long.
    pub served: bool,
    /// Where the log ends before the operation. Every operation but [`StoreOperation::Claim`] and
    /// [`StoreOperation::Restore`] is refused when the log ends elsewhere: a store that has lost
    /// events has lost more.
    pub last: Option<EventId>,
    pub operation: StoreOperation,
}

#[derive(Debug)]
pub(crate) enum StoreOperation {
    /// Writes the epoch into the head and returns the head, with the pending lists if wanted.
    Claim { pending: bool },
    /// Stores and publishes events, and completes the commands that they answer.
    Append(EventBatch),
    /// The same with those of the events that the log lacks; it then ends at the last of them, or at
    /// [`StoreRequest::last`] where there are none.
    Restore(EventBatch),
    /// Asks the ledger about commands; one verdict each.
    Admit(Vec<AdmissionRequest>),
    /// Undoes dispatches, except of commands that were dispatched again since.
    UndoDispatch(Vec<(LedgerKey, DispatchToken)>),
    /// Appends commands to the pending lists, unless they are done or were in the list before.
    PushPending(Vec<Arc<Vec<PendingCommand>>>),
    /// Removes commands from the pending lists.
    RemovePending(Vec<PendingPosition>),
    /// Moves entries of the pending lists that no owner has written into the quarantine.
    Quarantine(Vec<(Flow, String)>),
    /// Takes the head back from an epoch with a wrong code: no owner has written it.
    RepairHead { epoch: String, code: String },
    /// Sets fields of the head.
    SetHead(Vec<HeadField>),
}

/// A question to the ledger.
#[derive(Clone, Debug)]
pub(crate) struct AdmissionRequest {
    pub admission: Admission,
    /// Recorded with the dispatch.
    pub token: DispatchToken,
}

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum StoreResponse {
    /// The account is claimed; this is its head.
    Claimed(Box<LogHead>),
    /// Stored; `unheard` of the events had no live receiver.
    Stored { unheard: u64 },
    /// This very batch was the last one appended: its reply was lost.
    AlreadyStored,
    /// One verdict per admission, in order.
    Admitted(Vec<AdmissionVerdict>),
    /// Any other operation was applied.
    Done,
    /// A newer epoch owns the log.
    Fenced { current: Epoch },
    /// The log ends here and not where the request says.
    Gap { last: Option<EventId> },
    /// The log has an entry that no worker wrote, with this id: the events need larger ids. Nothing
    /// was changed.
    Occupied { top: EventId },
    /// The store refused this request alone; nothing was changed. The text is the store's, for the
    /// log.
    Refused(String),
}

/// The store accepts nothing at the moment, and the outcome of the requests is unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("cannot connect")]
    Connect(#[source] deadpool_redis::redis::RedisError),
    #[error("no answer")]
    Answer(#[source] deadpool_redis::redis::RedisError),
    #[error("not now: {0}")]
    Refusing(String),
    #[error("it has lost events")]
    LostEvents,
}

/// Stores logs. Used by one task, one batch at a time.
pub(crate) trait LogStore: Send + 'static {
    /// Its address for a log line, without credentials.
    fn endpoint(&self) -> &str;
    /// Connects, or reconnects.
    fn connect(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Checks that it still answers.
    fn ping(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Executes the requests, at most one per account; the responses are in the order of the
    /// requests.
    fn execute(
        &mut self,
        requests: &[StoreRequest],
    ) -> impl Future<Output = Result<Vec<StoreResponse>, StoreError>> + Send;
}
