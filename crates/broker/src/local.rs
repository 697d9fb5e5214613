//! The bus inside one process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use contracts::{Properties, RoutingKey, Shard, ShardCount};
use runtime::{OnFailure, Stage};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use crate::calls::Calls;
use crate::delivery::{Delivery, Execute, How, Settled, Settlement};
use crate::error::PublishError;
use crate::message::Message;
use crate::refusal::refusal;

/// Queues, calls and subscriptions of the in-process bus.
pub(crate) struct Hub {
    stage: Stage,
    count: ShardCount,
    execute: Arc<dyn Execute>,
    calls: Calls,
    connected: watch::Sender<bool>,
    shards: Mutex<HashMap<Shard, Feed>>,
}

/// One shard's queue.
#[derive(Default)]
struct Feed {
    /// Handed over before and left unsettled, by tag: they go first at the next subscription.
    left: BTreeMap<u64, Message>,
    waiting: VecDeque<Message>,
    /// Tag of the last delivery.
    tag: u64,
    open: Option<Open>,
}

/// A shard that is subscribed.
struct Open {
    /// The last tag of earlier subscriptions.
    after: u64,
    done: mpsc::UnboundedSender<Settled>,
    /// Fires, with whether all was settled, when no ticket is left.
    settled: oneshot::Receiver<bool>,
}

impl Hub {
    pub(crate) fn new(stage: &Stage, count: ShardCount, execute: Arc<dyn Execute>) -> Self {
        Self {
            stage: stage.clone(),
            count,
            execute,
            calls: Calls::default(),
            connected: watch::Sender::new(true),
            shards: Mutex::default(),
        }
    }

    pub(crate) fn count(&self) -> ShardCount {
        self.count
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(crate) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    /// Hands the message over, or keeps it until its shard is subscribed.
    pub(crate) fn publish(&self, message: Message) -> Result<(), PublishError> {
        if self.stage.stopping().is_cancelled() {
            return Err(PublishError::Unavailable);
        }
        let key: RoutingKey = message.key.parse().map_err(|_| PublishError::Unroutable)?;
        // The lock is held across the hand-over: that is what keeps the order.
        let mut shards = self.lock();
        let feed = shards.entry(key.shard).or_default();
        feed.waiting.push_back(message);
        self.hand_over(feed);
        Ok(())
    }

    pub(crate) fn subscribe(self: &Arc<Self>, shard: Shard) {
        let mut shards = self.lock();
        let feed = shards.entry(shard).or_default();
        if feed.open.is_some() {
            return;
        }
        let (done, settlements) = mpsc::unbounded_channel();
        let (finished, settled) = oneshot::channel();
        let hub = Arc::clone(self);
        self.stage.spawn("shard", OnFailure::Log, async move {
            // Nobody waits for it unless the shard is unsubscribed.
            finished.send(hub.settle(shard, settlements).await).ok();
            Ok(())
        });
        feed.open = Some(Open { after: feed.tag, done, settled });
        self.hand_over(feed);
    }

    pub(crate) async fn unsubscribe(&self, shard: Shard, grace: Duration) -> bool {
        let open = self.lock().get_mut(&shard).and_then(|feed| feed.open.take());
        // The feed's own sender goes with `done`: what is left then are the tickets.
        let Some(Open { settled, done, .. }) = open else { return true };
        drop(done);
        matches!(tokio::time::timeout(grace, settled).await, Ok(Ok(true)))
    }

    fn hand_over(&self, feed: &mut Feed) {
        let Some(open) = &feed.open else { return };
        let left = std::mem::take(&mut feed.left).into_values().map(|message| (message, true));
        for (message, redelivered) in left.chain(feed.waiting.drain(..).map(|new| (new, false))) {
            feed.tag += 1;
            self.execute.execute(Delivery::new(message, feed.tag, redelivered, &open.done));
        }
    }

    /// Settles until no ticket is left, or the stage stops; whether nothing was left unsettled.
    async fn settle(
        &self,
        shard: Shard,
        mut settlements: mpsc::UnboundedReceiver<Settled>,
    ) -> bool {
        let stopping = self.stage.stopping();
        let mut complete = true;
        loop {
            let next = tokio::select! {
                biased;
                next = settlements.recv() => next,
                () = stopping.cancelled() => {
                    self.lock().values_mut().for_each(|feed| feed.open = None);
                    settlements.recv().await
                }
            };
            match next {
                Some(Settled { how: how @ (How::Abandoned | How::Refused), tag, message }) => {
                    complete = false;
                    self.leave(shard, tag, message, matches!(how, How::Refused));
                }
                Some(settled) => self.finish(settled),
                None => return complete,
            }
        }
    }

    /// Keeps what was left unsettled for the next subscription; a refusal ends its own.
    fn leave(&self, shard: Shard, tag: u64, message: Message, refused: bool) {
        let mut shards = self.lock();
        let feed = shards.entry(shard).or_default();
        feed.left.insert(tag, message);
        if feed.open.as_ref().is_some_and(|open| tag <= open.after) {
            self.hand_over(feed);
        } else if refused && feed.open.take().is_some() {
            warn!(%shard, "a delivery came without a lease; its channel is closed");
        }
    }

    fn finish(&self, Settled { message, how, .. }: Settled) {
        match how {
            How::Abandoned | How::Refused | How::Settled(Settlement::Kept) => {}
            How::Settled(Settlement::Answered { event }) => self.reply(&message.properties, &event),
            How::Settled(Settlement::DeadLetter { reason, event }) => {
                self.bury(&message, &reason, event);
            }
            How::Settled(Settlement::Forward { .. }) if message.forwarded => {
                self.bury(&message, "it was forwarded before", None);
            }
            How::Settled(Settlement::Forward { key }) => {
                let message = Message { key: key.to_string(), forwarded: true, ..message };
                // Stopping: what is unsettled is lost, as documented.
                self.publish(message).ok();
            }
            How::Expired(key) => {
                let message = Message { key: key.to_string(), expired: true, ..message };
                self.publish(message).ok();
            }
        }
    }

    /// There is no dead-letter queue in memory: the log line is all that stays.
    fn bury(&self, message: &Message, reason: &str, event: Option<Bytes>) {
        warn!(reason, bytes = message.body.len(), "a command was put aside");
        self.reply(&message.properties, &event.unwrap_or_else(|| refusal(message, reason)));
    }

    pub(crate) fn reply(&self, command: &Properties, event: &Bytes) {
        if let (Some(_), Some(id)) = (&command.reply_to, &command.message_id) {
            self.calls.answer(id, event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Shard, Feed>> {
        runtime::lock(&self.shards)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use contracts::AccountId;
    use runtime::CancellationToken;

    use super::*;
    use crate::{Bus, Outgoing, Publisher};

    const GRACE: Duration = Duration::from_secs(1);

    struct Recorder(Mutex<Sender<Delivery>>);

    impl Execute for Recorder {
        fn execute(&self, delivery: Delivery) {
            self.0.lock().unwrap().send(delivery).unwrap();
        }
    }

    struct Fixture {
        stage: Stage,
        bus: Bus,
        publisher: Publisher,
        inbox: Receiver<Delivery>,
    }

    fn fixture() -> Fixture {
        let stage = Stage::new("intake", &CancellationToken::new());
        let (sender, inbox) = channel();
        let execute = Arc::new(Recorder(Mutex::new(sender)));
        let (bus, publisher) = Bus::in_process(&stage, ShardCount::new(4).unwrap(), execute);
        Fixture { stage, bus, publisher, inbox }
    }

    fn ping(n: u64) -> Outgoing {
        Outgoing::new(AccountId::new(1).unwrap(), "ping").field("n", n)
    }

    fn shard() -> Shard {
        ShardCount::new(4).unwrap().shard_of(AccountId::new(1).unwrap())
    }

    fn answer(delivery: Delivery) {
        let event = Bytes::from_static(b"{}");
        delivery.ticket.settle(Settlement::Answered { event });
    }

    #[tokio::test(start_paused = true)]
    async fn commands_wait_for_their_shard_and_keep_their_order() {
        let Fixture { stage, bus, publisher, inbox } = fixture();
        let outgoing: Vec<_> = (0..9).map(ping).collect();
        let published = publisher.publish_command(&outgoing).await;
        assert!(published.iter().all(Result::is_ok));
        assert!(inbox.try_recv().is_err());
        bus.subscribe(shard());
        for n in 0..9 {
            let delivery = inbox.try_recv().unwrap();
            let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
            assert_eq!(body["n"], n);
            answer(delivery);
        }
        assert!(bus.unsubscribe(shard(), GRACE).await);
        assert!(stage.drain(GRACE).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_gets_its_answer() {
        let Fixture { bus, publisher, inbox, .. } = fixture();
        bus.subscribe(shard());
        let outgoing = ping(0);
        let mut call = std::pin::pin!(publisher.call(&outgoing, GRACE));
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        answer(inbox.try_recv().unwrap());
        assert_eq!(call.await.as_deref(), Ok(b"{}".as_slice()));
        assert_eq!(publisher.call(&outgoing, GRACE).await, Err(PublishError::NoAnswer));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_forwarded_twice_is_answered_as_a_failure() {
        let Fixture { bus, publisher, inbox, .. } = fixture();
        bus.subscribe(shard());
        let outgoing = ping(0);
        let mut call = std::pin::pin!(publisher.call(&outgoing, GRACE));
        for forwarded in [false, true] {
            assert!(futures_util::poll!(call.as_mut()).is_pending());
            let Delivery { key, ticket, forwarded: marked, .. } = inbox.try_recv().unwrap();
            assert_eq!(marked, forwarded);
            ticket.settle(Settlement::Forward { key: key.unwrap() });
            tokio::task::yield_now().await;
        }
        let event: serde_json::Value = serde_json::from_slice(&call.await.unwrap()).unwrap();
        assert_eq!(event["userbot_id"], 1);
        assert_eq!(event["payload"]["type"], "ping_error");
        assert_eq!(event["payload"]["error"], "it was forwarded before");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_answered_later() {
        let Fixture { bus, publisher, inbox, .. } = fixture();
        bus.subscribe(shard());
        let outgoing = ping(0);
        let mut call = std::pin::pin!(publisher.call(&outgoing, GRACE));
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        let Delivery { properties, ticket, .. } = inbox.try_recv().unwrap();
        ticket.settle(Settlement::Kept);
        assert!(bus.unsubscribe(shard(), GRACE).await);
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        bus.reply(&properties, Bytes::from_static(b"{}"));
        assert_eq!(call.await.as_deref(), Ok(b"{}".as_slice()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ends_the_subscription_and_the_next_gets_all_of_it_in_order() {
        let Fixture { bus, publisher, inbox, .. } = fixture();
        bus.subscribe(shard());
        publisher.publish_command(&[ping(0), ping(1), ping(2)]).await;
        let held: Vec<_> = inbox.try_iter().collect();
        // The last first: the order is the queue's all the same.
        held.into_iter().rev().for_each(|delivery| delivery.ticket.refuse());
        assert!(!bus.unsubscribe(shard(), GRACE).await);
        publisher.publish_command(&[ping(3)]).await;
        assert!(inbox.try_recv().is_err());
        bus.subscribe(shard());
        for n in 0..4 {
            let delivery = inbox.try_recv().unwrap();
            let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
            assert_eq!((body["n"].as_u64(), delivery.redelivered), (Some(n), n < 3));
            answer(delivery);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn letting_go_says_whether_anything_is_left() {
        let Fixture { stage, bus, publisher, inbox } = fixture();
        bus.subscribe(shard());
        publisher.publish_command(&[ping(0)]).await;
        let kept = inbox.try_recv().unwrap();
        assert!(!bus.unsubscribe(shard(), GRACE).await);
        drop(kept);
        tokio::task::yield_now().await;
        bus.subscribe(shard());
        publisher.publish_command(&[ping(1)]).await;
        // What was dropped comes again, marked, before what is new.
        for (n, redelivered) in [(0, true), (1, false)] {
            let delivery = inbox.try_recv().unwrap();
            let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
            assert_eq!((body["n"].as_u64(), delivery.redelivered), (Some(n), redelivered));
        }
        assert!(!bus.unsubscribe(shard(), GRACE).await);
        assert!(stage.drain(GRACE).await);
        assert_eq!(publisher.publish_command(&[ping(2)]).await, [Err(PublishError::Unavailable)]);
    }
}
