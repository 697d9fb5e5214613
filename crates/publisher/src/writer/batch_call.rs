use crate::store::StoreRequest;
use crate::writer::task::WriterTask;

/// A request to the store, and the tasks that wait for its response; none for a request that the
/// writer makes by itself.
pub(super) struct BatchCall {
    pub request: StoreRequest,
    pub tasks: Vec<WriterTask>,
}

impl BatchCall {
    /// A request that no task waits for.
    pub(super) fn without_tasks(request: StoreRequest) -> Self {
        Self { request, tasks: Vec::new() }
    }

    pub(super) fn split(self) -> (StoreRequest, Vec<WriterTask>) {
        (self.request, self.tasks)
    }

    pub(super) fn join((request, tasks): (StoreRequest, Vec<WriterTask>)) -> Self {
        Self { request, tasks }
    }
}
