use std::time::Duration;

use contracts::Names;
use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

use crate::support::PATIENCE;

/// An AMQP client that is independent of the crate under test.
pub(crate) struct AmqpClient {
    pub(crate) channel: Channel,
    connection: Connection,
}

impl AmqpClient {
    pub(crate) async fn connect(uri: &str) -> Self {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(uri, properties).await.unwrap();
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

    /// Waits until the queue exists; RabbitMQ closes the channel of each look before that.
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

    /// An exclusive queue for replies, with a name that a `reply_to` may have.
    pub(crate) async fn reply_queue(&self, names: &Names) -> String {
        let name = format!("{}{}", names.reply_prefix(), uuid::Uuid::new_v4());
        self.declare_queue(&name).await;
        name
    }

    /// An exclusive queue.
    pub(crate) async fn declare_queue(&self, name: &str) {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(name.into(), options, FieldTable::default());
        declared.await.unwrap();
    }

    pub(crate) async fn unbind(&self, queue: &str, exchange: &str, key: &str) {
        let (queue, exchange, key) = (queue.into(), exchange.into(), key.into());
        self.channel.queue_unbind(queue, exchange, key, FieldTable::default()).await.unwrap();
    }

    pub(crate) async fn delete_exchange(&self, exchange: &str) {
        let options = ExchangeDeleteOptions::default();
        self.channel.exchange_delete(exchange.into(), options).await.unwrap();
    }

    /// Waits until the exchange exists.
    pub(crate) async fn wait_for_exchange(&self, exchange: &str) {
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let looked = async {
            loop {
                let channel = self.connection.create_channel().await.unwrap();
                let (kind, table) = (ExchangeKind::Topic, FieldTable::default());
                if channel.exchange_declare(exchange.into(), kind, options, table).await.is_ok() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looked).await.expect("an exchange in time");
    }

    /// Declares a durable queue without arguments.
    pub(crate) async fn declare_durable_queue(&self, queue: &str) {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    }

    pub(crate) async fn delete_queue(&self, queue: &str) {
        let deleted = self.channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        deleted.await.unwrap();
    }
}

/// The reason header of a dead letter.
pub(crate) fn reason(letter: &Delivery) -> String {
    let headers = letter.properties.headers().as_ref().unwrap();
    let Some(AMQPValue::LongString(reason)) = headers.inner().get("x-tdfleet-reason") else {
        panic!("a dead letter without a reason: {headers:?}");
    };
    reason.to_string()
}
