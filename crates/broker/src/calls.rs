use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::oneshot;

/// Who waits for which command's answer. Two may wait for one command; both get it.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    waiting: Arc<Mutex<HashMap<String, Vec<oneshot::Sender<Bytes>>>>>,
}

impl Calls {
    /// Waits for the answer to `command_id` from now on.
    pub(crate) fn expect(&self, command_id: &str) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.lock().entry(command_id.to_owned()).or_default().push(sender);
        Answer { calls: self.clone(), command_id: command_id.to_owned(), receiver }
    }

    /// Gives an answer to whoever waits for it; nobody may.
    pub(crate) fn answer(&self, command_id: &str, event: &Bytes) {
        for waiting in self.lock().remove(command_id).unwrap_or_default() {
            // One that has given up in this moment needs no answer.
            waiting.send(event.clone()).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<oneshot::Sender<Bytes>>>> {
        runtime::lock(&self.waiting)
    }
}

/// An answer to come; stops waiting when it is dropped.
pub(crate) struct Answer {
    calls: Calls,
    command_id: String,
    receiver: oneshot::Receiver<Bytes>,
}

impl Answer {
    /// The answer; `None` if nobody can give it any more.
    pub(crate) async fn wait(mut self) -> Option<Bytes> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.receiver.close();
        let mut waiting = self.calls.lock();
        if let Some(senders) = waiting.get_mut(&self.command_id) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(&self.command_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_for_a_command_gets_its_answer() {
        let calls = Calls::default();
        let (one, other) = (calls.expect("a"), calls.expect("a"));
        calls.answer("a", &Bytes::from_static(b"{}"));
        assert_eq!(one.wait().await.as_deref(), Some(b"{}".as_slice()));
        assert_eq!(other.wait().await.as_deref(), Some(b"{}".as_slice()));
    }

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let calls = Calls::default();
        let kept = calls.expect("a");
        drop(calls.expect("a"));
        assert_eq!(calls.lock()["a"].len(), 1);
        drop(kept);
        assert!(calls.lock().is_empty());
    }
}
