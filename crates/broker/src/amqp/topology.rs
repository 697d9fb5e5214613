//! What is declared on RabbitMQ, in the same way at every connect.

use std::time::Duration;

use contracts::{Flow, Names, Shard, ShardCount};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Connection, ExchangeKind};
use settings::{BrokerSettings, QueueType};

use crate::amqp::timing::within;
use crate::error::Error;

/// Exchanges, queues and bindings of one installation.
///
/// The shard queues must not have a delivery limit: it also counts messages that were prefetched and
/// never touched. RabbitMQ 3.10 sets none by default; 4.0 and later limit quorum queues to 20
/// unless a policy sets `delivery-limit: -1`. An argument of -1 is no way out: it means no limit
/// from 4.0 on, but 3.10 then delivers a message only once.
#[derive(Clone)]
pub(crate) struct Topology {
    pub(crate) names: Names,
    pub(crate) count: ShardCount,
    pub(crate) queue_type: QueueType,
    pub(crate) timeout: Duration,
}

impl Topology {
    pub(crate) fn new(settings: &BrokerSettings, names: Names, count: ShardCount) -> Self {
        Self { names, count, queue_type: settings.queue_type, timeout: settings.timeout() }
    }

    /// Declares everything that does not exist.
    ///
    /// Clients that may do it as well as workers, before they publish, so a command always finds its
    /// queue, whichever of them connects first.
    pub(crate) async fn declare(&self, connection: &Connection) -> Result<(), Error> {
        let channel =
            within(self.timeout, "opening a channel", connection.create_channel()).await?;
        let (names, count) = (&self.names, self.count);
        self.queue(&channel, &names.dead_letter_queue(), self.dead_letter_arguments()).await?;
        for (exchange, queue) in [
            (names.unrouted_exchange(count), names.unrouted_queue()),
            (names.expired_exchange(), names.expired_queue()),
        ] {
            self.exchange(&channel, &exchange, ExchangeKind::Fanout, FieldTable::default()).await?;
            self.queue(&channel, &queue, FieldTable::default()).await?;
            self.bind(&channel, &queue, &exchange, "").await?;
        }
        let queues: Vec<_> = count
            .shards()
            .flat_map(|shard| Flow::ALL.map(|flow| (flow, shard)))
            .map(|(flow, shard)| (flow, shard, names.command_queue(flow, shard, count)))
            .collect();
        for (_, _, queue) in &queues {
            self.queue(&channel, queue, self.shard_arguments()).await?;
        }
        self.commands_exchange(&channel).await?;
        for (flow, shard, queue) in &queues {
            let binding = Names::command_binding(*flow, *shard);
            self.bind(&channel, queue, &names.commands_exchange(), &binding).await?;
        }
        // A channel that does not close in time ends with its connection.
        drop(within(self.timeout, "closing a channel", channel.close(200, "OK".into())).await);
        Ok(())
    }

    /// Declares what routes the commands of one shard and flow to their queue, on a channel of the
    /// caller's.
    pub(crate) async fn declare_route(
        &self,
        channel: &Channel,
        flow: Flow,
        shard: Shard,
    ) -> Result<(), Error> {
        let (names, queue) = (&self.names, self.names.command_queue(flow, shard, self.count));
        self.queue(channel, &queue, self.shard_arguments()).await?;
        self.commands_exchange(channel).await?;
        let binding = Names::command_binding(flow, shard);
        self.bind(channel, &queue, &names.commands_exchange(), &binding).await
    }

    /// RabbitMQ compares the arguments with those of an existing exchange: the alternate exchange's
    /// name has the shard count in it.
    pub(crate) async fn commands_exchange(&self, channel: &Channel) -> Result<(), Error> {
        let exchange = self.names.commands_exchange();
        let mut arguments = FieldTable::default();
        let unrouted = self.names.unrouted_exchange(self.count);
        arguments.insert("alternate-exchange".into(), text(&unrouted));
        let declared = self.exchange(channel, &exchange, ExchangeKind::Topic, arguments).await;
        declared.map_err(|error| match error {
            Error::Mismatch { name, source } => {
                Error::ShardCount { exchange: name, count: self.count.get(), source }
            }
            error => error,
        })
    }

    fn shard_arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        arguments.insert("x-dead-letter-exchange".into(), text(&self.names.expired_exchange()));
        if self.queue_type == QueueType::Quorum {
            // At-least-once dead-lettering requires reject-publish; only quorum queues have it.
            arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
            arguments.insert("x-overflow".into(), text("reject-publish"));
        }
        arguments
    }

    /// A quorum queue requeues a message at its end if it has no delivery limit, and at its old
    /// position if it has one. RabbitMQ 4.0 and later would drop a dead letter that was read 20
    /// times.
    fn dead_letter_arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        if self.queue_type == QueueType::Quorum {
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(i32::MAX));
        }
        arguments
    }

    async fn exchange(
        &self,
        channel: &Channel,
        name: &str,
        kind: ExchangeKind,
        arguments: FieldTable,
    ) -> Result<(), Error> {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared = channel.exchange_declare(name.into(), kind, options, arguments);
        within(self.timeout, "declaring an exchange", declared).await.map_err(mismatch(name))
    }

    async fn queue(
        &self,
        channel: &Channel,
        name: &str,
        mut arguments: FieldTable,
    ) -> Result<(), Error> {
        arguments.insert("x-queue-type".into(), text(self.queue_type.as_str()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(name.into(), options, arguments);
        within(self.timeout, "declaring a queue", declared).await.map(drop).map_err(mismatch(name))
    }

    async fn bind(
        &self,
        channel: &Channel,
        queue: &str,
        exchange: &str,
        key: &str,
    ) -> Result<(), Error> {
        let bound = channel.queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        within(self.timeout, "binding a queue", bound).await
    }
}

/// Turns a refused declaration into an error with the name.
fn mismatch(name: &str) -> impl FnOnce(Error) -> Error {
    move |error| match error {
        Error::Failed { source, .. } if source.is(&AMQPSoftError::PRECONDITIONFAILED) => {
            Error::Mismatch { name: name.to_owned(), source }
        }
        error => error,
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}
