use std::time::Duration;

use crate::error::Error;

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
