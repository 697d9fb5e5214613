use contracts::{Epoch, EventId};

use crate::writer::task::WriterTask;

/// Jobs taken from the queue at once, tasks in one batch, and requests in one round trip.
pub(super) const BATCH_SIZE: usize = 512;

/// Consecutive tasks of one kind and epoch, for one request.
pub(super) struct TaskBatch {
    pub epoch: Epoch,
    /// Whether a worker runs the account, by any of the tasks.
    pub served: bool,
    pub last: Option<EventId>,
    /// The largest id in the log, if no worker wrote that entry.
    pub occupied: Option<EventId>,
    pub tasks: Vec<WriterTask>,
}

impl TaskBatch {
    /// No tasks: the account must be claimed first.
    pub(super) fn claim(epoch: Epoch, served: bool) -> Self {
        Self { epoch, served, last: None, occupied: None, tasks: Vec::new() }
    }
}
