use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;

use crate::object::Update;

/// The senders of the answers that are awaited, by request number.
type AnswerSenders = HashMap<u64, oneshot::Sender<Update>>;

/// One client's requests that are waiting for their answers.
///
/// `None` once the client is closed: no answer will arrive any more.
pub(crate) struct PendingRequests(Mutex<Option<AnswerSenders>>);

impl PendingRequests {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }

    /// Registers request `extra`; `None` when the client is closed.
    pub(crate) fn register(&self, extra: u64) -> Option<oneshot::Receiver<Update>> {
        let (sender, receiver) = oneshot::channel();
        self.lock().as_mut()?.insert(extra, sender);
        Some(receiver)
    }

    pub(crate) fn remove(&self, extra: u64) -> Option<oneshot::Sender<Update>> {
        self.lock().as_mut()?.remove(&extra)
    }

    /// Ends every wait; nothing can be registered afterwards.
    pub(crate) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<AnswerSenders>> {
        runtime::lock(&self.0)
    }
}
