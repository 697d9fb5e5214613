use log_port::{NotStored, OwnerToken};
use tokio::sync::{mpsc, oneshot};

use crate::writer::metrics::WriterMetrics;
use crate::writer::task::{WriterJob, WriterTask};

/// The sending end of the writer's queue.
#[derive(Clone)]
pub(crate) struct WriterQueue {
    jobs: mpsc::UnboundedSender<WriterJob>,
    metrics: WriterMetrics,
}

impl WriterQueue {
    pub(crate) fn new(jobs: mpsc::UnboundedSender<WriterJob>, metrics: WriterMetrics) -> Self {
        Self { jobs, metrics }
    }

    pub(crate) fn metrics(&self) -> &WriterMetrics {
        &self.metrics
    }

    /// Queues a task; the writer (`LogWriter::write`) takes it in a batch.
    pub(crate) fn send(&self, owner: OwnerToken, task: WriterTask) {
        if let Err(mpsc::error::SendError(WriterJob::Task(_, task))) =
            self.jobs.send(WriterJob::Task(owner, task))
        {
            task.fail(NotStored::Closed, &self.metrics);
        }
    }

    /// A receiver that resolves when everything queued so far has its outcome.
    pub(crate) fn flush(&self) -> oneshot::Receiver<()> {
        let (flush, flushed) = oneshot::channel();
        drop(self.jobs.send(WriterJob::Flush(flush)));
        flushed
    }
}
