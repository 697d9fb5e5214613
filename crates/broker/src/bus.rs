//! The consuming end of the bus.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::{Properties, Shard, ShardCount};
use runtime::Stage;
use settings::{BrokerSettings, LimitSettings};
use tokio::sync::watch;

use crate::amqp::Subscriptions;
use crate::command_client::CommandClient;
use crate::delivery::DeliveryHandler;
use crate::error::Error;
use crate::identity::BusIdentity;
use crate::in_process::InProcessBus;
use crate::intake::IntakeRules;
use crate::reply_queues::ReplyQueues;
use crate::shard_filter::ShardFilter;

/// Delivers the commands of the subscribed shards.
#[derive(Clone)]
pub struct Bus(BusTransport);

#[derive(Clone)]
enum BusTransport {
    Amqp(Arc<Subscriptions>),
    InProcess(Arc<InProcessBus>),
}

impl Bus {
    /// Starts consuming from RabbitMQ, inside `stage`.
    ///
    /// It connects, declares the whole topology and starts with the queues of unroutable and expired
    /// messages; the shards' queues follow with [`Self::subscribe`]. While RabbitMQ is down it logs
    /// that once and keeps retrying; afterwards everything is declared and subscribed again. When
    /// the stage stops, nothing more is delivered, and the stage waits for what was.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`]. An exchange with another shard count, or a queue of another type, is found
    /// only once RabbitMQ answers: then a task of the stage fails, and the process with it.
    pub fn start(
        stage: &Stage,
        settings: &BrokerSettings,
        limits: &LimitSettings,
        identity: BusIdentity,
        handler: Arc<dyn DeliveryHandler>,
    ) -> Result<Self, Error> {
        let replies = ReplyQueues::new(settings, &identity.names);
        let rules = IntakeRules::new(limits.clone(), replies);
        let handler = Arc::new(ShardFilter::new(identity.count, rules, handler));
        let subscriptions = Subscriptions::start(stage, settings, identity, handler)?;
        Ok(Self(BusTransport::Amqp(Arc::new(subscriptions))))
    }

    /// Checks what [`Self::start`] can refuse, before anything is started.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`].
    pub fn check(settings: &BrokerSettings) -> Result<(), Error> {
        crate::amqp::check_uri(settings)
    }

    /// A bus inside this process, and the client for it.
    ///
    /// Commands take the same path through the same bytes, in the order they are published, and wait
    /// until their shard is subscribed. No server stores them: whatever is unsettled when the
    /// process ends is lost.
    pub fn in_process(
        stage: &Stage,
        limits: &LimitSettings,
        count: ShardCount,
        handler: Arc<dyn DeliveryHandler>,
    ) -> (Self, CommandClient) {
        let bus = Arc::new(InProcessBus::new(stage, limits, count, handler));
        (Self(BusTransport::InProcess(Arc::clone(&bus))), CommandClient::in_process(bus))
    }

    /// Starts delivering a shard's commands, now or as soon as there is a connection; does nothing
    /// if the shard is subscribed. Only the holder of the shard's lease may call it.
    pub fn subscribe(&self, shard: Shard) {
        match &self.0 {
            BusTransport::Amqp(subscriptions) => subscriptions.subscribe(shard),
            BusTransport::InProcess(bus) => bus.subscribe(shard),
        }
    }

    /// Stops delivering a shard's commands, waits at most `grace` until what was delivered is settled
    /// and acknowledged, and closes the shard's channels. With a grace of zero it closes them at
    /// once, whatever was delivered: for a worker that has lost the lease.
    ///
    /// `false` if something is left: RabbitMQ delivers it, marked as redelivered, to the next
    /// subscriber.
    ///
    /// # Cancel safety
    ///
    /// When dropped, it closes the channels at once.
    pub async fn unsubscribe(&self, shard: Shard, grace: Duration) -> bool {
        match &self.0 {
            BusTransport::Amqp(subscriptions) => subscriptions.unsubscribe(shard, grace).await,
            BusTransport::InProcess(bus) => bus.unsubscribe(shard, grace).await,
        }
    }

    /// Sends the answer to a command whose delivery was settled as
    /// [`Kept`](crate::Settlement::Kept), if `command` has a `reply_to`. Never blocks. Like every
    /// reply it is sent once, without a confirm, and dropped if there is no connection in time: the
    /// event itself is in the log.
    pub fn reply(&self, command: &Properties, event: Bytes) {
        match &self.0 {
            BusTransport::Amqp(subscriptions) => subscriptions.reply(command, event),
            BusTransport::InProcess(bus) => bus.reply(command, &event),
        }
    }

    /// Whether the bus is connected; changes with the connection.
    pub fn connected(&self) -> watch::Receiver<bool> {
        match &self.0 {
            BusTransport::Amqp(subscriptions) => subscriptions.connected(),
            BusTransport::InProcess(bus) => bus.connected(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use contracts::AccountId;
    use runtime::CancellationToken;

    use super::*;
    use crate::command_request::CommandRequest;
    use crate::delivery::Delivery;
    use crate::error::PublishError;
    use crate::settlement::Settlement;

    const GRACE: Duration = Duration::from_secs(1);

    struct Recorder(Mutex<Sender<Delivery>>);

    impl DeliveryHandler for Recorder {
        fn handle(&self, delivery: Delivery) {
            self.0.lock().unwrap().send(delivery).unwrap();
        }
    }

    struct Fixture {
        stage: Stage,
        bus: Bus,
        client: CommandClient,
        inbox: Receiver<Delivery>,
    }

    fn fixture() -> Fixture {
        let stage = Stage::new("intake", &CancellationToken::new());
        let (sender, inbox) = channel();
        let handler = Arc::new(Recorder(Mutex::new(sender)));
        let (bus, client) = Bus::in_process(
            &stage,
            &LimitSettings::default(),
            ShardCount::new(4).unwrap(),
            handler,
        );
        Fixture { stage, bus, client, inbox }
    }

    fn ping(n: u64) -> CommandRequest {
        CommandRequest::new(AccountId::new(1).unwrap(), "ping").field("n", n)
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
        let Fixture { stage, bus, client, inbox } = fixture();
        let requests: Vec<_> = (0..9).map(ping).collect();
        let published = client.publish_command(&requests).await;
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
        let Fixture { bus, client, inbox, .. } = fixture();
        bus.subscribe(shard());
        let request = ping(0);
        let mut call = std::pin::pin!(client.call(&request, GRACE));
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        answer(inbox.try_recv().unwrap());
        assert_eq!(call.await.as_deref(), Ok(b"{}".as_slice()));
        assert_eq!(client.call(&request, GRACE).await, Err(PublishError::NoAnswer));
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_command_is_answered_later() {
        let Fixture { bus, client, inbox, .. } = fixture();
        bus.subscribe(shard());
        let request = ping(0);
        let mut call = std::pin::pin!(client.call(&request, GRACE));
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        let Delivery { properties, ticket, .. } = inbox.try_recv().unwrap();
        ticket.settle(Settlement::Kept);
        assert!(bus.unsubscribe(shard(), GRACE).await);
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        bus.reply(&properties, Bytes::from_static(b"{}"));
        assert_eq!(call.await.as_deref(), Ok(b"{}".as_slice()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ends_the_subscription_and_the_next_one_gets_everything_in_order() {
        let Fixture { bus, client, inbox, .. } = fixture();
        bus.subscribe(shard());
        client.publish_command(&[ping(0), ping(1), ping(2)]).await;
        let held: Vec<_> = inbox.try_iter().collect();
        // The last first: the order is still the queue's.
        held.into_iter().rev().for_each(|delivery| delivery.ticket.refuse());
        assert!(!bus.unsubscribe(shard(), GRACE).await);
        client.publish_command(&[ping(3)]).await;
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
    async fn unsubscribing_returns_whether_anything_is_left() {
        let Fixture { stage, bus, client, inbox } = fixture();
        bus.subscribe(shard());
        client.publish_command(&[ping(0)]).await;
        let kept = inbox.try_recv().unwrap();
        assert!(!bus.unsubscribe(shard(), GRACE).await);
        drop(kept);
        tokio::task::yield_now().await;
        bus.subscribe(shard());
        client.publish_command(&[ping(1)]).await;
        // The dropped one is redelivered, marked, before new ones.
        for (n, redelivered) in [(0, true), (1, false)] {
            let delivery = inbox.try_recv().unwrap();
            let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
            assert_eq!((body["n"].as_u64(), delivery.redelivered), (Some(n), redelivered));
        }
        assert!(!bus.unsubscribe(shard(), GRACE).await);
        assert!(stage.drain(GRACE).await);
        assert_eq!(client.publish_command(&[ping(2)]).await, [Err(PublishError::Unavailable)]);
    }
}
