use std::time::Duration;

use deadpool_redis::redis;
use deadpool_redis::redis::aio::{MultiplexedConnection, PubSub};
use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::PATIENCE;
use super::contract::Contract;
use super::world::SHARDS;

/// An entry of a stream: its id, and its fields with their values.
type Entry = (String, Vec<(String, Vec<u8>)>);

/// An account's log, oldest first: stream ids with their events.
pub(crate) type Log = Vec<(String, Value)>;

/// A minimal backend service: an AMQP channel and a Redis connection.
pub(crate) struct Backend {
    _connection: Connection,
    pub(crate) channel: Channel,
    redis: MultiplexedConnection,
    live: PubSub,
    contract: Contract,
}

/// The routing key of a command, as documented: the shard is the CRC-32 of the decimal account id.
pub(crate) fn routing_key(account: u32, command: &str) -> String {
    let mut crc = u32::MAX;
    for byte in account.to_string().bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    format!("cmd_hi.s{:03}.acc.{account}.{command}", !crc % u32::from(SHARDS))
}

impl Backend {
    pub(crate) async fn connect(amqp: &str, redis: &str) -> Self {
        let connection = Connection::connect(amqp, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let client = redis::Client::open(redis).unwrap();
        let live = client.get_async_pubsub().await.unwrap();
        let redis = client.get_multiplexed_async_connection().await.unwrap();
        Self { _connection: connection, channel, redis, live, contract: Contract::default() }
    }

    /// Subscribes to an account's live events.
    pub(crate) async fn listen(&mut self, account: u32) {
        self.live.subscribe(format!("tdfleet:{{{account}}}:live")).await.unwrap();
    }

    /// Publishes a body unchanged, and waits for RabbitMQ's confirm.
    pub(crate) async fn publish(&self, key: &str, body: &[u8], properties: BasicProperties) {
        let exchange = "tdfleet.commands".into();
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = properties.with_delivery_mode(2);
        let confirm =
            self.channel.basic_publish(exchange, key.into(), options, body, properties).await;
        let confirm = timeout(PATIENCE, confirm.unwrap()).await.expect("a confirm").unwrap();
        assert!(matches!(confirm, Confirmation::Ack(None)), "not accepted: {confirm:?}");
    }

    /// Publishes a command, named by `action`.
    pub(crate) async fn send(&self, account: u32, action: &str, fields: Value, id: Option<&str>) {
        let mut body = json!({"action": action, "userbot_id": account});
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
            body.extend(id.map(|id| ("command_id".to_owned(), id.into())));
        }
        let key = routing_key(account, action);
        self.publish(&key, body.to_string().as_bytes(), BasicProperties::default()).await;
    }

    /// Publishes a command and waits for the answer on the live channel.
    pub(crate) async fn call(&mut self, account: u32, action: &str, fields: Value) -> Value {
        self.send(account, action, fields, None).await;
        self.answer(action).await
    }

    /// Publishes a command and waits for the answer in a queue of [`Self::reply_queue`].
    pub(crate) async fn call_for_reply(
        &self,
        account: u32,
        action: &str,
        fields: Value,
        (queue, replies): &mut (String, lapin::Consumer),
    ) -> Value {
        let mut body = json!({"action": action, "userbot_id": account});
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        let properties = BasicProperties::default().with_reply_to(queue.as_str().into());
        self.publish(&routing_key(account, action), body.to_string().as_bytes(), properties).await;
        Self::next_reply(replies).await
    }

    /// The next message of a queue of replies.
    pub(crate) async fn next_reply(replies: &mut lapin::Consumer) -> Value {
        let reply = timeout(PATIENCE, replies.next()).await.expect("a reply").unwrap().unwrap();
        serde_json::from_slice(&reply.data).unwrap()
    }

    /// How many keys of Redis begin with this.
    pub(crate) async fn keys(&mut self, prefix: &str) -> usize {
        let mut keys = redis::cmd("KEYS");
        let prefix = prefix.replace(['{', '}'], "?");
        keys.arg(format!("{prefix}*"));
        let found: Vec<String> = keys.query_async(&mut self.redis).await.unwrap();
        found.len()
    }

    /// The next live event that answers `command`, with a result or an error.
    pub(crate) async fn answer(&mut self, command: &str) -> Value {
        let error = format!("{command}_error");
        self.live_event(|event| {
            let kind = &event["payload"]["type"];
            kind == command || *kind == error
        })
        .await
    }

    /// The next live event for which `wanted` is true; skips all others. Checks each one against its
    /// published schema.
    pub(crate) async fn live_event(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut messages = self.live.on_message();
        let search = async {
            loop {
                let message = messages.next().await.expect("the subscription is open");
                let event = serde_json::from_slice(message.get_payload_bytes()).unwrap();
                self.contract.check(&event);
                if wanted(&event) {
                    return event;
                }
            }
        };
        timeout(PATIENCE, search).await.expect("the event arrives")
    }

    /// The account's log.
    pub(crate) async fn log(&mut self, account: u32) -> Log {
        let key = format!("tdfleet:{{{account}}}:log");
        let mut range = redis::cmd("XRANGE");
        range.arg(key).arg("-").arg("+");
        let entries: Vec<Entry> = range.query_async(&mut self.redis).await.unwrap();
        let event = |fields: Vec<(String, Vec<u8>)>| {
            let [(event, json), (time, ms)] = fields.as_slice() else { panic!("two fields") };
            assert_eq!((event.as_str(), time.as_str()), ("e", "t"));
            let json: Value = serde_json::from_slice(json).unwrap();
            let at: jiff::Timestamp =
                json["payload"]["_meta"]["occurred_at"].as_str().unwrap().parse().unwrap();
            assert_eq!(at.as_millisecond().to_string().as_bytes(), ms);
            json
        };
        entries.into_iter().map(|(id, fields)| (id, event(fields))).collect()
    }

    /// The entries of a stream, each as its fields with their values.
    pub(crate) async fn stream(&mut self, key: &str) -> Vec<Vec<(String, String)>> {
        let mut range = redis::cmd("XRANGE");
        range.arg(key).arg("-").arg("+");
        let entries: Vec<Entry> = range.query_async(&mut self.redis).await.unwrap();
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        let fields = |fields: Vec<(String, Vec<u8>)>| {
            fields.into_iter().map(|(name, value)| (name, text(value))).collect()
        };
        entries.into_iter().map(|(_, entry)| fields(entry)).collect()
    }

    /// Waits until the account's log holds at least `number` events for which `wanted` is true; all
    /// of them. An event that a command causes may come before or after its answer.
    pub(crate) async fn logged(
        &mut self,
        account: u32,
        number: usize,
        wanted: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let search = async {
            loop {
                let log = self.log(account).await.into_iter().map(|(_, event)| event);
                let found: Vec<Value> = log.filter(|event| wanted(event)).collect();
                if found.len() >= number {
                    return found;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, search).await.expect("the events arrive")
    }

    /// Waits until the account's log holds at least `number` answers to commands; all of them.
    pub(crate) async fn answers(&mut self, account: u32, number: usize) -> Vec<Value> {
        let answers = |event: &Value| event["payload"]["_meta"]["command_id"].is_string();
        self.logged(account, number, answers).await
    }

    /// Waits until the account's last state in its log is this one.
    pub(crate) async fn wait_for_state(&mut self, account: u32, state: &str) {
        let search = async {
            loop {
                let log = self.log(account).await;
                let mut states = log
                    .iter()
                    .rev()
                    .filter_map(|(_, event)| event["payload"]["result"]["state"].as_str());
                if states.next() == Some(state) {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, search).await.expect("the account gets into the state");
    }

    /// Whether the commands' exchange exists. If not, RabbitMQ closes the channel.
    pub(crate) async fn has_exchange(&self) -> bool {
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let (name, kind) = ("tdfleet.commands".into(), ExchangeKind::Topic);
        self.channel.exchange_declare(name, kind, options, FieldTable::default()).await.is_ok()
    }

    /// Declares an exclusive queue for replies, with a name that `reply_to` may have.
    pub(crate) async fn reply_queue(&self) -> (String, lapin::Consumer) {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let name = format!("tdfleet.reply.{}", contracts::CommandId::random());
        let declared =
            self.channel.queue_declare(name.as_str().into(), options, FieldTable::default());
        declared.await.unwrap();
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = self
            .channel
            .basic_consume(name.as_str().into(), "".into(), options, FieldTable::default())
            .await
            .unwrap();
        (name, consumer)
    }

    /// Takes one message out of a queue; its properties and body.
    pub(crate) async fn take(&self, queue: &str) -> Option<(BasicProperties, Vec<u8>)> {
        let options = lapin::options::BasicGetOptions { no_ack: true };
        let got = self.channel.basic_get(queue.into(), options).await.unwrap()?;
        Some((got.delivery.properties, got.delivery.data))
    }
}
