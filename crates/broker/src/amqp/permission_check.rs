//! Trying what a worker does, without leaving anything behind.

use std::time::Duration;

use contracts::{AccountId, Flow, Names, RoutingKey};
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection};

use crate::amqp::timing::within;
use crate::amqp::topology::Topology;
use crate::error::Error;

/// Below every other consumer: while there is one, RabbitMQ gives messages to that one.
const LAST_PRIORITY: i32 = -100;

/// Tries what a worker does with exchanges and queues that exist.
pub(crate) struct PermissionCheck<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) topology: &'a Topology,
}

impl PermissionCheck<'_> {
    /// What the user may not do, in RabbitMQ's words.
    pub(crate) async fn refusals(&self) -> Result<Vec<String>, Error> {
        let names = &self.topology.names;
        let mut refusals = Vec::new();
        // Declaring what exists changes nothing.
        note(&mut refusals, self.topology.declare(self.connection).await)?;
        for queue in [names.unrouted_queue(), names.expired_queue()] {
            note(&mut refusals, self.consume(&queue).await)?;
        }
        for flow in Flow::ALL {
            for shard in self.topology.count.shards().take(1) {
                let queue = names.command_queue(flow, shard, self.topology.count);
                note(&mut refusals, self.consume(&queue).await)?;
            }
        }
        note(&mut refusals, self.publish("", &names.dead_letter_queue()).await)?;
        if let Some(account) = AccountId::new(1) {
            let key = RoutingKey::new(Flow::Hi, self.topology.count, account, "doctor");
            let exchange = names.commands_exchange();
            note(&mut refusals, self.publish(&exchange, &key.to_string()).await)?;
        }
        Ok(refusals)
    }

    /// Publishes in a transaction that is rolled back: RabbitMQ checks the permission at once, and
    /// routes nothing.
    async fn publish(&self, exchange: &str, key: &str) -> Result<(), Error> {
        let channel = self.open().await?;
        within(self.topology.timeout, "beginning a transaction", channel.tx_select()).await?;
        let published = channel.basic_publish(
            exchange.into(),
            key.into(),
            BasicPublishOptions::default(),
            &[],
            BasicProperties::default(),
        );
        within(self.topology.timeout, "publishing", published).await.map(drop)?;
        within(self.topology.timeout, "publishing", channel.tx_rollback()).await?;
        self.close(&channel).await
    }

    /// Consumes for a moment, unless messages wait or another consumer is there: a message that was
    /// delivered and returned would be marked as redelivered.
    async fn consume(&self, queue: &str) -> Result<(), Error> {
        let channel = self.open().await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let looked = channel.queue_declare(queue.into(), options, FieldTable::default());
        let found = within(self.topology.timeout, "looking for a queue", looked).await?;
        if found.message_count() > 0 || found.consumer_count() > 0 {
            return self.close(&channel).await;
        }
        let mut arguments = FieldTable::default();
        arguments.insert("x-priority".into(), AMQPValue::LongInt(LAST_PRIORITY));
        let consuming = channel.basic_consume(
            queue.into(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            arguments,
        );
        let consumer = within(self.topology.timeout, "consuming", consuming).await?;
        self.close(&channel).await?;
        drop(consumer);
        Ok(())
    }

    /// A new channel for each attempt: RabbitMQ closes it at a refusal.
    async fn open(&self) -> Result<Channel, Error> {
        let opening = self.connection.create_channel();
        within(self.topology.timeout, "opening a channel", opening).await
    }

    async fn close(&self, channel: &Channel) -> Result<(), Error> {
        let closed = channel.close(200, "OK".into());
        within(self.topology.timeout, "closing a channel", closed).await
    }
}

/// Whether the user may declare in the namespace at all, where nothing is declared yet.
pub(crate) async fn declare_refusal(
    connection: &Connection,
    names: &Names,
    timeout: Duration,
) -> Result<Vec<String>, Error> {
    let channel = within(timeout, "opening a channel", connection.create_channel()).await?;
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let queue = format!("{}.{}", names.doctor_queue(), std::process::id());
    let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
    let mut refusals = Vec::new();
    note(&mut refusals, within(timeout, "declaring a queue", declared).await.map(drop))?;
    Ok(refusals)
}

/// Keeps a refusal; passes on any other error.
fn note(refusals: &mut Vec<String>, tried: Result<(), Error>) -> Result<(), Error> {
    match tried {
        Err(Error::Failed { source, .. }) if source.is(&AMQPSoftError::ACCESSREFUSED) => {
            refusals.push(source.to_string());
            Ok(())
        }
        // The topology's inspection reports it.
        Err(Error::ShardCount { .. } | Error::Mismatch { .. }) => Ok(()),
        other => other,
    }
}
