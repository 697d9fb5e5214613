//! Commands go out by RabbitMQ.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lapin::message::{Delivery, DeliveryResult};
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::events::Events;

/// RabbitMQ sends what is published to this name back to the channel that asked; no queue is made.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// One command.
#[derive(Debug)]
pub struct Command {
    /// Names it: a UUID, as a rule.
    pub id: String,
    /// `userbot_id`.
    pub account: u64,
    /// Such as `get_active_sessions`.
    pub name: String,
    /// The command's own.
    pub fields: Map<String, Value>,
}

/// Publishes commands. Once RabbitMQ is lost, make a new one.
#[derive(Debug)]
pub struct Commands {
    channel: Channel,
    shards: u32,
    waiting: Waiting,
}

impl Commands {
    /// Connects to RabbitMQ; `shards` is the installation's `shard_count`.
    pub async fn connect(uri: &str, shards: u32) -> Result<Self> {
        let connection = Connection::connect(uri, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let no_ack = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let replies = channel
            .basic_consume(REPLY_TO.into(), "".into(), no_ack, FieldTable::default())
            .await?;
        let waiting = Waiting::default();
        let callers = waiting.clone();
        replies.set_delegate(move |reply: DeliveryResult| {
            if let Ok(Some(reply)) = reply {
                callers.answer(&reply);
            }
            std::future::ready(())
        });
        Ok(Self { channel, shards, waiting })
    }

    /// Returns once the command is safe on a queue of RabbitMQ. After an error that is no refusal (a
    /// lost connection) publish it again, under the same id.
    pub async fn publish(&self, command: &Command, reply_to: Option<&str>) -> Result<()> {
        let Command { id, account, name, fields } = command;
        let mut body = fields.clone();
        // Past its deadline no worker runs the command any more.
        let deadline = jiff::Timestamp::now().checked_add(PATIENCE)?;
        let envelope = json!({
            "command": name, "userbot_id": account, "command_id": id,
            "_meta": {"deadline": deadline.to_string()},
        });
        body.extend(envelope.as_object().cloned().unwrap_or_default());
        let body = serde_json::to_vec(&body)?;

        let shard = crc32fast::hash(account.to_string().as_bytes()) % self.shards;
        let key = format!("cmd_hi.s{shard:03}.acc.{account}.{name}");
        let mut properties = BasicProperties::default()
            .with_delivery_mode(2) // persistent
            .with_content_type("application/json".into())
            .with_message_id(id.as_str().into())
            .with_correlation_id(id.as_str().into());
        if let Some(queue) = reply_to {
            properties = properties.with_reply_to(queue.into());
        }
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let exchange = "tdfleet.commands".into();
        let publish =
            self.channel.basic_publish(exchange, key.into(), mandatory, &body, properties);
        let confirm = async { publish.await?.await };
        let confirm = timeout(PATIENCE, confirm).await.context("no confirm in time")??;
        let taken = matches!(confirm, Confirmation::Ack(None));
        ensure!(taken, "RabbitMQ refuses the command, or no queue takes it");
        Ok(())
    }

    // Two ways to wait for the answer. Both give the same event: `payload` has `result`, or `error`.

    /// By AMQP's `reply_to`: quick, and without Redis. The answer is lost with the connection.
    pub async fn call(&self, command: &Command) -> Result<Value> {
        let answer = self.waiting.expect(&command.id);
        let answered = async {
            self.publish(command, Some(REPLY_TO)).await?;
            timeout(PATIENCE, answer).await?.context("RabbitMQ is lost")
        };
        let answer = answered.await;
        self.waiting.callers().remove(&command.id);
        answer
    }

    /// By the account's log: anyone who has the id finds the answer there, even days later.
    pub async fn call_by_event(&self, command: &Command, events: &Events) -> Result<Value> {
        let before = events.newest(command.account).await?;
        self.publish(command, None).await?;
        let mut following = events.follow(command.account, before);
        let search = async {
            loop {
                let (event, _) = following.next().await;
                if event["payload"]["_meta"]["command_id"] == command.id.as_str() {
                    return event;
                }
            }
        };
        timeout(PATIENCE, search).await.context("no answer in time")
    }
}

/// The callers who wait, by their command's id.
#[derive(Clone, Debug, Default)]
struct Waiting(Arc<Mutex<HashMap<String, oneshot::Sender<Value>>>>);

impl Waiting {
    fn callers(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Value>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, id: &str) -> oneshot::Receiver<Value> {
        let (caller, answer) = oneshot::channel();
        self.callers().insert(id.to_owned(), caller);
        answer
    }

    fn answer(&self, reply: &Delivery) {
        let id = reply.properties.correlation_id().as_ref();
        let caller = id.and_then(|id| self.callers().remove(id.as_str()));
        if let (Some(caller), Ok(event)) = (caller, serde_json::from_slice(&reply.data)) {
            drop(caller.send(event)); // Nobody may be waiting any more.
        }
    }
}
