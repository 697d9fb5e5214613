use contracts::Flow;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tdlib::CallError;
use tokio::sync::OwnedSemaphorePermit;

use super::storage::{OpenError, OpenedAccount};
use crate::commands::Access;

/// The futures that run inside an account's task.
#[derive(Default)]
pub(super) struct AccountTasks(FuturesUnordered<BoxFuture<'static, TaskResult>>);

/// The result of one of them.
pub(super) enum TaskResult {
    Opened(Result<OpenedAccount, OpenError>),
    ParametersSet(Result<(), CallError>),
    /// The time is up in which this TDLib client should have reported an authorization state.
    OpeningOverdue(i32),
    CommandEnded(Flow, Access),
    CommandRejected,
    /// Whether the log has stored a chunk of the spool.
    ChunkStored(bool),
    /// The account's turn to close has come.
    ClosePermit(Option<OwnedSemaphorePermit>),
    /// TDLib has answered `close`.
    CloseAnswered,
}

impl AccountTasks {
    pub(super) fn add<T>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
        result: impl FnOnce(T) -> TaskResult + Send + 'static,
    ) {
        self.0.push(task.map(result).boxed());
    }

    /// Waits for the next result; `None` if there are no tasks. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<TaskResult> {
        self.0.next().await
    }
}
