//! Time limits and delays of everything that asks RabbitMQ.

use std::time::Duration;

use runtime::Backoff;

use crate::error::Error;

/// Delays between attempts to connect, or to open a channel again.
pub(super) fn reconnect_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(5))
}

/// Waits at most `timeout` for one answer of RabbitMQ.
pub(super) async fn within<T>(
    timeout: Duration,
    step: &'static str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer.map_err(|error| Error::Failed { step, source: error.into() }),
        Err(_) => Err(Error::TimedOut { step, after: timeout }),
    }
}
