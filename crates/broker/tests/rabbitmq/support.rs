//! What the tests of the bus share: an installation with workers and callers.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{
    Bus, BusIdentity, CommandClient, CommandRequest, Delivery, DeliveryHandler, Settlement,
};
use bytes::Bytes;
use contracts::{AccountId, Flow, Names, RoutingKey, Shard, ShardCount};
use runtime::{CancellationToken, MacKey, Stage};
use settings::{BrokerSettings, ExposeSecret, LimitSettings, QueueType};
use test_servers::rabbitmq::shared;
use tokio::sync::mpsc;

use crate::amqp_client::AmqpClient;

/// Longest wait for anything that should happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Shard count of the tests: few queues are declared quickly.
pub(crate) fn count() -> ShardCount {
    ShardCount::new(4).unwrap()
}

pub(crate) fn account(id: i64) -> AccountId {
    AccountId::new(id).unwrap()
}

pub(crate) fn shard_of(id: i64) -> Shard {
    count().shard_of(account(id))
}

/// What the worker of a test was delivered; the test settles it.
pub(crate) struct Inbox(mpsc::UnboundedReceiver<Delivery>);

struct Recorder(mpsc::UnboundedSender<Delivery>);

impl DeliveryHandler for Recorder {
    fn handle(&self, delivery: Delivery) {
        self.0.send(delivery).ok();
    }
}

pub(crate) fn recorder() -> (Arc<dyn DeliveryHandler>, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Arc::new(Recorder(sender)), Inbox(receiver))
}

impl Inbox {
    pub(crate) async fn next(&mut self) -> Delivery {
        let next = tokio::time::timeout(PATIENCE, self.0.recv()).await;
        next.expect("a delivery in time").expect("a bus that delivers")
    }

    pub(crate) fn is_empty(&mut self) -> bool {
        self.0.is_empty()
    }
}

/// Settles as answered, with an event that repeats the body.
pub(crate) fn answer(delivery: Delivery) {
    let event = delivery.body.clone();
    delivery.ticket.settle(Settlement::Answered { event });
}

/// One installation: a namespace on a server.
pub(crate) struct Fixture {
    pub(crate) names: Names,
    pub(crate) settings: BrokerSettings,
    pub(crate) limits: LimitSettings,
    pub(crate) stage: Stage,
    pub(crate) failed: CancellationToken,
}

impl Fixture {
    /// On the server that all tests of a run share.
    pub(crate) fn shared(queue_type: QueueType) -> Self {
        Self::new(&shared_uri(), queue_type)
    }

    pub(crate) fn new(uri: &str, queue_type: QueueType) -> Self {
        let namespace = format!("t{}", uuid::Uuid::new_v4().simple());
        let failed = CancellationToken::new();
        Self {
            names: Names::new(&namespace),
            settings: BrokerSettings {
                uri: uri.into(),
                queue_type,
                prefetch: 16,
                timeout_ms: 10_000,
                topology_check_s: 3600,
                reply_prefix: None,
            },
            limits: LimitSettings::default(),
            stage: Stage::new("intake", &failed),
            failed,
        }
    }

    /// The same installation, for another process of it.
    pub(crate) fn another(&self) -> Self {
        let failed = CancellationToken::new();
        Self {
            names: self.names.clone(),
            settings: self.settings.clone(),
            limits: self.limits.clone(),
            stage: Stage::new("intake", &failed),
            failed,
        }
    }

    /// A worker that is connected and has subscribed to nothing.
    pub(crate) async fn worker(&self) -> (Bus, Inbox) {
        let (handler, inbox) = recorder();
        let bus = self.bus(count(), handler);
        wait_until(&bus, true).await;
        (bus, inbox)
    }

    pub(crate) fn bus(&self, count: ShardCount, handler: Arc<dyn DeliveryHandler>) -> Bus {
        let Self { stage, settings, limits, .. } = self;
        let identity = BusIdentity { names: self.names.clone(), count, key: Self::mac_key() };
        Bus::start(stage, settings, limits, identity, handler).unwrap()
    }

    /// The key of every worker.
    pub(crate) fn mac_key() -> MacKey {
        MacKey::derive("0123456789abcdef", "tdfleet bus")
    }

    /// A client without any knowledge of the crate under test.
    pub(crate) async fn client(&self) -> AmqpClient {
        AmqpClient::connect(self.settings.uri.expose_secret()).await
    }

    pub(crate) fn caller(&self) -> CommandClient {
        CommandClient::start(&self.stage, &self.settings, self.names.clone(), count()).unwrap()
    }

    pub(crate) fn key(id: i64, command: &str) -> String {
        RoutingKey::new(Flow::Hi, count(), account(id), command).to_string()
    }

    /// Ends the tasks of the process.
    pub(crate) async fn drain(self) {
        assert!(self.stage.drain(PATIENCE).await, "the stage drains in time");
    }
}

pub(crate) async fn wait_until(bus: &Bus, connected: bool) {
    let mut state = bus.connected();
    let waited = tokio::time::timeout(PATIENCE, state.wait_for(|up| *up == connected)).await;
    waited.expect("a change of the connection in time").unwrap();
}

/// Commands `numbers`, all of one account.
pub(crate) fn numbered(id: i64, numbers: std::ops::Range<u64>) -> Vec<CommandRequest> {
    numbers.map(|n| CommandRequest::new(account(id), "ping").field("n", n)).collect()
}

/// Publishes and expects every confirm.
pub(crate) async fn publish(fixture: &Fixture, requests: &[CommandRequest]) {
    for outcome in fixture.caller().publish_command(requests).await {
        outcome.unwrap();
    }
}

/// Answers the next commands; their numbers.
pub(crate) async fn numbers(inbox: &mut Inbox, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let delivery = inbox.next().await;
        numbers.push(number(&delivery.body));
        answer(delivery);
    }
    numbers
}

/// The number of a command of [`numbered`].
pub(crate) fn number(body: &[u8]) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    body["n"].as_u64().unwrap()
}

/// Every settled command's number, in order.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<VecDeque<(u64, bool)>>>);

impl Journal {
    pub(crate) fn entries(&self) -> Vec<(u64, bool)> {
        self.0.lock().unwrap().iter().copied().collect()
    }
}

/// Records each command's number, and whether it was redelivered, and answers at once.
impl DeliveryHandler for Journal {
    fn handle(&self, delivery: Delivery) {
        self.0.lock().unwrap().push_back((number(&delivery.body), delivery.redelivered));
        let event = Bytes::from_static(b"{}");
        delivery.ticket.settle(Settlement::Answered { event });
    }
}

/// The address of the RabbitMQ that the tests share.
pub(crate) fn shared_uri() -> String {
    shared::uri(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("rabbitmq"))
}
