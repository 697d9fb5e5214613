use contracts::{Epoch, EventId};

use crate::writer::task::WriterTask;

/// Jobs taken from the queue at once, tasks in one batch, and requests in one round trip.
pub(super) const BATCH_SIZE: usize = 512;

/// Consecutive tasks of one kind and epoch, for one request; without any, the account must be
/// claimed first.
pub(super) struct TaskBatch {
    pub epoch: Epoch,
    /// Whether a worker runs the account, by any of the tasks.
    pub served: bool,
    pub last: Option<EventId>,
    pub tasks: Vec<WriterTask>,
}
