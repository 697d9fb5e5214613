//! What the tests of the bus share: a worker that records and settles, and a plain AMQP client.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{Bus, Delivery, Execute, Outgoing, Publisher, Settlement};
use bytes::Bytes;
use contracts::{AccountId, Flow, Names, RoutingKey, Shard, ShardCount};
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use runtime::{CancellationToken, Stage};
use settings::{BrokerSettings, QueueType};
use test_servers::rabbitmq::RabbitServer;
use tokio::sync::mpsc;

/// Longest wait for anything that ought to happen.
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

/// What the worker of a test was handed; it settles as the test says.
pub(crate) struct Inbox(mpsc::UnboundedReceiver<Delivery>);

struct Recorder(mpsc::UnboundedSender<Delivery>);

impl Execute for Recorder {
    fn execute(&self, delivery: Delivery) {
        self.0.send(delivery).ok();
    }
}

pub(crate) fn recorder() -> (Arc<dyn Execute>, Inbox) {
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

/// A namespace of its own on one server.
pub(crate) struct Fixture {
    pub(crate) names: Names,
    pub(crate) settings: BrokerSettings,
    pub(crate) stage: Stage,
    pub(crate) failed: CancellationToken,
}

impl Fixture {
    pub(crate) fn new(server: &RabbitServer, queue_type: QueueType) -> Self {
        let namespace = format!("t{}", uuid::Uuid::new_v4().simple());
        let failed = CancellationToken::new();
        Self {
            names: Names::new(&namespace),
            settings: BrokerSettings {
                uri: server.uri().into(),
                queue_type,
                prefetch: 16,
                timeout_ms: 10_000,
            },
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
            stage: Stage::new("intake", &failed),
            failed,
        }
    }

    /// A worker that is connected and has subscribed to nothing.
    pub(crate) async fn worker(&self) -> (Bus, Inbox) {
        let (execute, inbox) = recorder();
        let bus =
            Bus::start(&self.stage, &self.settings, self.names.clone(), count(), execute).unwrap();
        wait_until(&bus, true).await;
        (bus, inbox)
    }

    pub(crate) fn publisher(&self) -> Publisher {
        Publisher::start(&self.stage, &self.settings, self.names.clone(), count()).unwrap()
    }

    pub(crate) fn key(id: i64, command: &str) -> String {
        RoutingKey::new(Flow::Hi, count(), account(id), command).to_string()
    }

    /// Ends the process's tasks in good order.
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
pub(crate) fn numbered(id: i64, numbers: std::ops::Range<u64>) -> Vec<Outgoing> {
    numbers.map(|n| Outgoing::new(account(id), "ping").field("n", n)).collect()
}

/// The number of a command of [`numbered`].
pub(crate) fn number(body: &[u8]) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    body["n"].as_u64().unwrap()
}

/// An AMQP client that knows nothing of the crate under test.
pub(crate) struct Client {
    pub(crate) channel: Channel,
    connection: Connection,
}

impl Client {
    pub(crate) async fn connect(server: &RabbitServer) -> Self {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&server.uri(), properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { channel, connection }
    }

    pub(crate) async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) {
        let options = BasicPublishOptions::default();
        let published =
            self.channel.basic_publish(exchange.into(), key.into(), options, body, properties);
        assert!(published.await.unwrap().await.unwrap().is_ack());
    }

    /// Takes the next message out of a queue, as soon as there is one.
    pub(crate) async fn get(&self, queue: &str) -> BasicGetMessage {
        let polled = async {
            loop {
                if let Some(message) = self.try_get(queue).await {
                    return message;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, polled).await.expect("a message in time")
    }

    /// Waits until the queue exists; a look at one that does not costs a channel.
    pub(crate) async fn wait_for_queue(&self, queue: &str) {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let looked = async {
            loop {
                let channel = self.connection.create_channel().await.unwrap();
                let found = channel.queue_declare(queue.into(), options, FieldTable::default());
                if found.await.is_ok() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looked).await.expect("a queue in time");
    }

    pub(crate) async fn try_get(&self, queue: &str) -> Option<BasicGetMessage> {
        self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap()
    }
}

/// Every settled command's number, in order.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<VecDeque<(u64, bool)>>>);

impl Journal {
    pub(crate) fn entries(&self) -> Vec<(u64, bool)> {
        self.0.lock().unwrap().iter().copied().collect()
    }
}

/// A worker that notes each command's number, and whether it was redelivered, and answers at once.
impl Execute for Journal {
    fn execute(&self, delivery: Delivery) {
        self.0.lock().unwrap().push_back((number(&delivery.body), delivery.redelivered));
        let event = Bytes::from_static(b"{}");
        delivery.ticket.settle(Settlement::Answered { event });
    }
}
