use std::collections::{BTreeMap, VecDeque};

use tokio::sync::{mpsc, oneshot};

use crate::delivery::{MessageHandler, ReceivedMessage};
use crate::message::Message;
use crate::settlement::SettleRequest;

/// One shard's queue, and its subscription if there is one.
#[derive(Default)]
pub(super) struct ShardQueue {
    /// Delivered before and left unsettled, by tag: redelivered first at the next subscription.
    unsettled: BTreeMap<u64, Message>,
    waiting: VecDeque<Message>,
    last_tag: u64,
    subscription: Option<ShardSubscription>,
}

struct ShardSubscription {
    /// The last tag of earlier subscriptions.
    after: u64,
    requests: mpsc::UnboundedSender<SettleRequest>,
    ended: SubscriptionEnd,
}

/// Fires, with whether everything was settled, when no ticket of a subscription is left.
pub(super) type SubscriptionEnd = oneshot::Receiver<bool>;

impl ShardQueue {
    pub(super) fn is_subscribed(&self) -> bool {
        self.subscription.is_some()
    }

    /// Delivers the message, or keeps it until the shard is subscribed.
    pub(super) fn push(&mut self, message: Message, handler: &dyn MessageHandler) {
        self.waiting.push_back(message);
        self.deliver(handler);
    }

    pub(super) fn subscribe(
        &mut self,
        requests: mpsc::UnboundedSender<SettleRequest>,
        ended: SubscriptionEnd,
        handler: &dyn MessageHandler,
    ) {
        self.subscription = Some(ShardSubscription { after: self.last_tag, requests, ended });
        self.deliver(handler);
    }

    /// Ends the subscription. The queue's own sender goes with it; what is left are the tickets.
    pub(super) fn unsubscribe(&mut self) -> Option<SubscriptionEnd> {
        self.subscription.take().map(|subscription| subscription.ended)
    }

    /// Keeps an unsettled message for the next subscription; if that is there already, it gets it.
    pub(super) fn put_back(&mut self, tag: u64, message: Message, handler: &dyn MessageHandler) {
        self.unsettled.insert(tag, message);
        if self.is_of_earlier_subscription(tag) {
            self.deliver(handler);
        }
    }

    pub(super) fn is_of_earlier_subscription(&self, tag: u64) -> bool {
        self.subscription.as_ref().is_some_and(|subscription| tag <= subscription.after)
    }

    fn deliver(&mut self, handler: &dyn MessageHandler) {
        let Some(subscription) = &self.subscription else { return };
        let unsettled = std::mem::take(&mut self.unsettled).into_values();
        let redelivered = unsettled.map(|message| (message, true));
        let new = self.waiting.drain(..).map(|message| (message, false));
        for (message, redelivered) in redelivered.chain(new) {
            self.last_tag += 1;
            let requests = &subscription.requests;
            let tag = self.last_tag;
            handler.receive(ReceivedMessage::new(message, tag, redelivered, requests));
        }
    }
}
