use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, error_span, warn};

/// What the failure of a task means for the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is logged; all other tasks continue (one account, one command).
    Log,
    /// The process cannot work without it: everything is drained, and the exit code reports the
    /// failure.
    Stop,
}

/// A group of tasks that start and drain together.
///
/// The daemon has three: output (event log, TDLib reader), accounts, intake (broker). They start in
/// this order and drain in reverse.
#[derive(Clone, Debug)]
pub struct Stage {
    name: &'static str,
    stop: CancellationToken,
    failed: CancellationToken,
    tracker: TaskTracker,
}

impl Stage {
    /// An empty stage. `failed` is cancelled when a task spawned with [`OnFailure::Stop`] fails.
    pub fn new(name: &'static str, failed: &CancellationToken) -> Self {
        Self {
            name,
            stop: CancellationToken::new(),
            failed: failed.clone(),
            tracker: TaskTracker::new(),
        }
    }

    /// The token that is cancelled when this stage starts to drain.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// The token that is cancelled when a task spawned with [`OnFailure::Stop`] has failed.
    pub fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// Runs `task` on the runtime; its error or panic is logged once, under `name`.
    pub fn spawn<F>(&self, name: &'static str, on_failure: OnFailure, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let failed = self.failed.clone();
        let guarded = async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error!(error = format!("{error:#}"), "task failed"),
                Err(_) => error!("task panicked"),
            }
            if on_failure == OnFailure::Stop {
                failed.cancel();
            }
        };
        let span = error_span!("task", stage = self.name, name);
        self.tracker.spawn(guarded.instrument(span));
    }

    /// Cancels the stage's token and waits until its tasks have ended, at most `grace`.
    ///
    /// Returns `true` when all of them ended in time.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        let in_time = tokio::time::timeout(grace, self.tracker.wait()).await.is_ok();
        if !in_time {
            warn!(
                stage = self.name,
                tasks = self.tracker.len(),
                grace_s = grace.as_secs(),
                "tasks did not end within the grace period"
            );
        }
        in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_vital_task_fails_the_process_which_still_drains() {
        let failed = CancellationToken::new();
        let stage = Stage::new("output", &failed);
        stage.spawn("vital", OnFailure::Stop, async { panic!("out of cheese") });
        failed.cancelled().await;
        assert!(stage.drain(Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_is_only_logged_does_not_stop_other_tasks() {
        let failed = CancellationToken::new();
        let stage = Stage::new("accounts", &failed);
        stage.spawn("one", OnFailure::Log, async { anyhow::bail!("lost") });
        let stop = stage.stopping();
        stage.spawn("other", OnFailure::Log, async move {
            stop.cancelled().await;
            Ok(())
        });
        assert!(stage.drain(Duration::from_secs(1)).await);
        assert!(!failed.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_reported() {
        let stage = Stage::new("intake", &CancellationToken::new());
        stage.spawn("stuck", OnFailure::Log, std::future::pending());
        assert!(!stage.drain(Duration::from_secs(1)).await);
    }
}
