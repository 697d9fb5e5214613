//! The bus inside one process.

mod shard_queue;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use contracts::{Properties, RoutingKey, Shard, ShardCount};
use runtime::{OnFailure, Stage};
use settings::LimitSettings;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use crate::delivery::DeliveryHandler;
use crate::error::PublishError;
use crate::in_process::shard_queue::ShardQueue;
use crate::intake::IntakeRules;
use crate::message::Message;
use crate::pending_replies::PendingReplies;
use crate::reply_queues::ReplyQueues;
use crate::settlement::{Disposition, SettleAction, SettleRequest};
use crate::shard_filter::ShardFilter;

/// Queues, subscriptions and pending replies of the in-process bus.
pub(crate) struct InProcessBus {
    stage: Stage,
    count: ShardCount,
    handler: ShardFilter,
    replies: PendingReplies,
    connected: watch::Sender<bool>,
    queues: Mutex<HashMap<Shard, ShardQueue>>,
}

impl InProcessBus {
    pub(crate) fn new(
        stage: &Stage,
        limits: &LimitSettings,
        count: ShardCount,
        handler: Arc<dyn DeliveryHandler>,
    ) -> Self {
        let rules = IntakeRules::new(limits.clone(), ReplyQueues::direct());
        Self {
            stage: stage.clone(),
            count,
            handler: ShardFilter::new(count, rules, handler),
            replies: PendingReplies::default(),
            connected: watch::Sender::new(true),
            queues: Mutex::default(),
        }
    }

    pub(crate) fn count(&self) -> ShardCount {
        self.count
    }

    pub(crate) fn pending_replies(&self) -> &PendingReplies {
        &self.replies
    }

    pub(crate) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    /// Delivers the message, or keeps it until its shard is subscribed.
    pub(crate) fn publish(&self, message: Message) -> Result<(), PublishError> {
        if self.stage.stopping().is_cancelled() {
            return Err(PublishError::Unavailable);
        }
        let key: RoutingKey = message.key.parse().map_err(|_| PublishError::Unroutable)?;
        // The lock is held while the handler runs: that keeps the order.
        self.lock().entry(key.shard).or_default().push(message, &self.handler);
        Ok(())
    }

    pub(crate) fn subscribe(self: &Arc<Self>, shard: Shard) {
        let mut queues = self.lock();
        let queue = queues.entry(shard).or_default();
        if queue.is_subscribed() {
            return;
        }
        let (sender, requests) = mpsc::unbounded_channel();
        let (finished, ended) = oneshot::channel();
        let bus = Arc::clone(self);
        self.stage.spawn("shard", OnFailure::Log, async move {
            // Nobody waits for it unless the shard is unsubscribed.
            finished.send(bus.settle_all(shard, requests).await).ok();
            Ok(())
        });
        queue.subscribe(sender, ended, &self.handler);
    }

    pub(crate) async fn unsubscribe(&self, shard: Shard, grace: Duration) -> bool {
        let ended = self.lock().get_mut(&shard).and_then(ShardQueue::unsubscribe);
        let Some(ended) = ended else { return true };
        matches!(tokio::time::timeout(grace, ended).await, Ok(Ok(true)))
    }

    pub(crate) fn reply(&self, command: &Properties, event: &Bytes) {
        if let (Some(_), Some(id)) = (&command.reply_to, &command.message_id) {
            self.replies.complete(id, event);
        }
    }

    /// Settles until no ticket is left; whether nothing was left unsettled. When the stage stops, it
    /// ends every subscription.
    async fn settle_all(
        &self,
        shard: Shard,
        mut requests: mpsc::UnboundedReceiver<SettleRequest>,
    ) -> bool {
        let stopping = self.stage.stopping();
        let mut complete = true;
        loop {
            let next = tokio::select! {
                biased;
                next = requests.recv() => next,
                () = stopping.cancelled() => {
                    for queue in self.lock().values_mut() {
                        queue.unsubscribe();
                    }
                    requests.recv().await
                }
            };
            let Some(request) = next else { return complete };
            complete &= self.settle(shard, request);
        }
    }

    /// Settles one delivery; `false` if it stays unsettled.
    fn settle(&self, shard: Shard, request: SettleRequest) -> bool {
        let SettleRequest { tag, message, disposition } = request;
        if let Disposition::Abandoned | Disposition::NoLease = disposition {
            self.put_back(shard, tag, message, matches!(disposition, Disposition::NoLease));
            return false;
        }
        self.act(disposition.into_action(message));
        true
    }

    /// Keeps an unsettled message for the next subscription. A delivery that was refused ends its own
    /// subscription, not a later one.
    fn put_back(&self, shard: Shard, tag: u64, message: Message, refused: bool) {
        let mut queues = self.lock();
        let queue = queues.entry(shard).or_default();
        if refused && !queue.is_of_earlier_subscription(tag) && queue.unsubscribe().is_some() {
            warn!(%shard, "delivery refused without a lease; closing its channel");
        }
        queue.put_back(tag, message, &self.handler);
    }

    fn act(&self, action: Option<SettleAction>) {
        match action {
            None | Some(SettleAction::Acknowledge) => {}
            Some(SettleAction::Reply { command, event }) => self.reply(&command, &event),
            Some(SettleAction::DeadLetter { message, reason, reply }) => {
                let bytes = message.body.len();
                warn!(reason, bytes, "command discarded; an in-process bus has no dead letters");
                self.reply(&message.properties, &reply);
            }
            // While stopping it fails: what is unsettled is lost, as documented.
            Some(SettleAction::Republish(message) | SettleAction::Reroute { message, .. }) => {
                drop(self.publish(message));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Shard, ShardQueue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use contracts::{AccountId, CommandId};
    use runtime::CancellationToken;

    use super::*;
    use crate::command_request::CommandRequest;
    use crate::delivery::Delivery;

    struct Recorder(Mutex<Sender<Delivery>>);

    impl DeliveryHandler for Recorder {
        fn handle(&self, delivery: Delivery) {
            self.0.lock().unwrap().send(delivery).unwrap();
        }
    }

    /// A command of account 1 under the key of another shard, which `forwarded` says was
    /// forwarded before.
    fn misrouted(count: ShardCount, forwarded: bool) -> (CommandId, Message) {
        let account = AccountId::new(1).unwrap();
        let request = CommandRequest::new(account, "ping");
        let (id, mut message) = request.message(count, jiff::Timestamp::UNIX_EPOCH).unwrap();
        let wrong = Shard((count.shard_of(account).0 + 1) % count.get());
        message.key = format!("cmd_hi.{wrong}.acc.1.ping");
        message.properties.reply_to = Some("somewhere".to_owned());
        message.forwarded = forwarded;
        (id, message)
    }

    #[tokio::test]
    async fn a_command_on_the_wrong_shard_is_forwarded_once_and_then_answered_as_a_failure() {
        let stage = Stage::new("intake", &CancellationToken::new());
        let (sender, inbox) = channel();
        let count = ShardCount::new(4).unwrap();
        let (limits, recorder) = (LimitSettings::default(), Arc::new(Recorder(Mutex::new(sender))));
        let bus = Arc::new(InProcessBus::new(&stage, &limits, count, recorder));
        count.shards().for_each(|shard| bus.subscribe(shard));

        bus.publish(misrouted(count, false).1).unwrap();
        tokio::task::yield_now().await;
        let delivery = inbox.try_recv().unwrap();
        let key = delivery.key.clone();
        assert_eq!((key.shard, delivery.forwarded), (count.shard_of(key.account), true));

        let (id, message) = misrouted(count, true);
        let reply = bus.pending_replies().expect(id.as_str());
        bus.publish(message).unwrap();
        let event: serde_json::Value =
            serde_json::from_slice(&reply.receive().await.unwrap()).unwrap();
        assert!(inbox.try_recv().is_err(), "it does not reach the handler");
        assert_eq!(event["userbot_id"], 1);
        assert_eq!(event["payload"]["type"], "ping_error");
        assert_eq!(event["payload"]["error"], "it was forwarded before");
    }
}
