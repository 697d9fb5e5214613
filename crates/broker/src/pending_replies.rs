use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

type ReplySenders = HashMap<String, Vec<oneshot::Sender<Bytes>>>;

/// Calls that wait for a reply, by command id. If several wait for one command, all get it.
#[derive(Clone, Default)]
pub(crate) struct PendingReplies {
    waiting: Arc<Mutex<ReplySenders>>,
}

impl PendingReplies {
    /// Waits for the reply to `command_id` from now on.
    pub(crate) fn expect(&self, command_id: &str) -> PendingReply {
        let (sender, receiver) = oneshot::channel();
        self.lock().entry(command_id.to_owned()).or_default().push(sender);
        PendingReply { replies: self.clone(), command_id: command_id.to_owned(), receiver }
    }

    /// Passes a reply on to every call that waits for it, if any.
    pub(crate) fn complete(&self, command_id: &str, event: &Bytes) {
        for waiting in self.lock().remove(command_id).unwrap_or_default() {
            // A call that has just given up needs no reply.
            waiting.send(event.clone()).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, ReplySenders> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reply to come; when dropped, it stops waiting.
pub(crate) struct PendingReply {
    replies: PendingReplies,
    command_id: String,
    receiver: oneshot::Receiver<Bytes>,
}

impl PendingReply {
    /// The reply; `None` if nobody can send it any more.
    pub(crate) async fn receive(mut self) -> Option<Bytes> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        self.receiver.close();
        let mut waiting = self.replies.lock();
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
    async fn every_call_for_a_command_gets_its_reply() {
        let replies = PendingReplies::default();
        let (one, other) = (replies.expect("a"), replies.expect("a"));
        replies.complete("a", &Bytes::from_static(b"{}"));
        assert_eq!(one.receive().await.as_deref(), Some(b"{}".as_slice()));
        assert_eq!(other.receive().await.as_deref(), Some(b"{}".as_slice()));
    }

    #[test]
    fn a_call_that_gives_up_leaves_nothing_behind() {
        let replies = PendingReplies::default();
        let kept = replies.expect("a");
        drop(replies.expect("a"));
        assert_eq!(replies.lock()["a"].len(), 1);
        drop(kept);
        assert!(replies.lock().is_empty());
    }
}
