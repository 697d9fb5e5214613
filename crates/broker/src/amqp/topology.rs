//! What is declared on RabbitMQ, always the same way, at every connect.

use std::time::Duration;

use contracts::{Flow, Names, ShardCount};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};
use settings::QueueType;

use crate::amqp::within;
use crate::error::{Error, Said};

/// Exchanges, queues and bindings of one installation.
///
/// The shard queues have no delivery limit: it counts messages that were sent ahead and never
/// touched. RabbitMQ 3.10 has none unless it is asked for; from 4.0 on it limits quorum queues to 20
/// unless a policy says `delivery-limit: -1` (an argument of -1 is refused by 3.10).
#[derive(Clone)]
pub(crate) struct Topology {
    pub(crate) names: Names,
    pub(crate) count: ShardCount,
    pub(crate) queue_type: QueueType,
    pub(crate) timeout: Duration,
}

impl Topology {
    /// Declares everything that is not there.
    ///
    /// Publishers do it as well as workers, before they publish: a command always finds its queue,
    /// whoever was there first.
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
        // A channel that does not close in time goes with its connection.
        drop(within(self.timeout, "closing a channel", channel.close(200, "OK".into())).await);
        Ok(())
    }

    /// RabbitMQ compares the arguments with what exists: the alternate exchange's name tells the
    /// shard count.
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
            // At-least-once dead-lettering needs reject-publish, of quorum queues alone.
            arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
            arguments.insert("x-overflow".into(), text("reject-publish"));
        }
        arguments
    }

    /// A quorum queue puts what is given back to its end if it has no delivery limit, and to where it
    /// was if it has one; and from RabbitMQ 4.0 on it would throw letters away that were looked at 20
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
        within(self.timeout, "declaring an exchange", declared).await.map_err(named(name))
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
        within(self.timeout, "declaring a queue", declared).await.map(drop).map_err(named(name))
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

/// Names what does not fit the declaration.
fn named(name: &str) -> impl FnOnce(Error) -> Error {
    move |error| match error {
        Error::Failed { source, .. } if is(&source, &AMQPSoftError::PRECONDITIONFAILED) => {
            Error::Mismatch { name: name.to_owned(), source }
        }
        error => error,
    }
}

pub(crate) fn is(said: &Said, soft: &AMQPSoftError) -> bool {
    let ErrorKind::ProtocolError(error) = said.0.kind() else { return false };
    matches!(error.kind(), AMQPErrorKind::Soft(kind) if kind == soft)
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}
