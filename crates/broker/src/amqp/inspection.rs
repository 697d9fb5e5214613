//! A look at RabbitMQ that changes nothing.

use contracts::{Flow, Names, ShardCount};
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Connection, ExchangeKind};
use settings::BrokerSettings;

use crate::amqp::topology::{self, Topology};
use crate::amqp::{link, within};
use crate::error::Error;

/// What RabbitMQ has of an installation.
#[derive(Debug)]
pub enum Inspection {
    /// Nothing yet: the first worker or publisher declares it.
    Fresh,
    /// Everything, as the settings say; so many messages rest in the dead letters.
    Sound {
        /// The dead letters.
        dead_letters: u32,
    },
    /// These queues or exchanges are missing; a worker declares them as it connects.
    Missing(Vec<String>),
    /// What is there was declared by other settings: [`Error::ShardCount`] or [`Error::Mismatch`].
    Other(Error),
}

/// Connects and compares what is there with the settings; declares nothing that is not there.
///
/// # Errors
///
/// [`Error::Uri`], and those of any step: RabbitMQ cannot be reached, or does not answer.
pub async fn inspect(
    settings: &BrokerSettings,
    names: Names,
    count: ShardCount,
) -> Result<Inspection, Error> {
    let connection = link::connect(settings).await?;
    let (timeout, queue_type) = (settings.timeout(), settings.queue_type);
    let topology = Topology { names, count, queue_type, timeout };
    topology.inspect(&connection).await
}

impl Topology {
    async fn inspect(&self, connection: &Connection) -> Result<Inspection, Error> {
        if !self.has_exchange(connection, &self.names.commands_exchange()).await? {
            return Ok(Inspection::Fresh);
        }
        let missing = self.missing(connection).await?;
        // A declare of what exists changes nothing: it compares.
        let compared = if missing.is_empty() {
            self.declare(connection).await
        } else {
            let opening = connection.create_channel();
            let channel = within(self.timeout, "opening a channel", opening).await?;
            self.commands_exchange(&channel).await
        };
        match compared {
            Ok(()) if missing.is_empty() => {
                let letters = self.messages(connection, &self.names.dead_letter_queue()).await?;
                Ok(Inspection::Sound { dead_letters: letters.unwrap_or(0) })
            }
            Ok(()) => Ok(Inspection::Missing(missing)),
            Err(error @ (Error::ShardCount { .. } | Error::Mismatch { .. })) => {
                Ok(Inspection::Other(error))
            }
            Err(error) => Err(error),
        }
    }

    /// What is not there, of all but the commands' exchange.
    async fn missing(&self, connection: &Connection) -> Result<Vec<String>, Error> {
        let names = &self.names;
        let mut missing = Vec::new();
        for name in [names.unrouted_exchange(self.count), names.expired_exchange()] {
            if !self.has_exchange(connection, &name).await? {
                missing.push(name);
            }
        }
        let rest = [names.unrouted_queue(), names.expired_queue(), names.dead_letter_queue()];
        let commands = Flow::ALL.into_iter().flat_map(|flow| {
            self.count.shards().map(move |shard| names.command_queue(flow, shard, self.count))
        });
        for name in rest.into_iter().chain(commands) {
            if self.messages(connection, &name).await?.is_none() {
                missing.push(name);
            }
        }
        Ok(missing)
    }

    /// A look at what is not there costs its channel.
    async fn has_exchange(&self, connection: &Connection, name: &str) -> Result<bool, Error> {
        let opening = connection.create_channel();
        let channel = within(self.timeout, "opening a channel", opening).await?;
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let looked = channel.exchange_declare(
            name.into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        );
        found(within(self.timeout, "looking for an exchange", looked).await)
            .map(|found| found.is_some())
    }

    /// How many messages rest in a queue; `None` where there is no such queue.
    async fn messages(&self, connection: &Connection, name: &str) -> Result<Option<u32>, Error> {
        let opening = connection.create_channel();
        let channel = within(self.timeout, "opening a channel", opening).await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let looked = channel.queue_declare(name.into(), options, FieldTable::default());
        let found = found(within(self.timeout, "looking for a queue", looked).await)?;
        Ok(found.map(|queue| queue.message_count()))
    }
}

fn found<T>(looked: Result<T, Error>) -> Result<Option<T>, Error> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(Error::Failed { source, .. }) if topology::is(&source, &AMQPSoftError::NOTFOUND) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
