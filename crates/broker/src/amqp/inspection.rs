//! Comparing RabbitMQ with the settings.

use contracts::{Flow, Names, ShardCount};
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ExchangeKind};
use settings::BrokerSettings;

use crate::amqp::connection;
use crate::amqp::permission_check::{PermissionCheck, declare_refusal};
use crate::amqp::server_version::server_version;
use crate::amqp::timing::within;
use crate::amqp::topology::Topology;
use crate::error::Error;

/// What exists of an installation on RabbitMQ.
#[derive(Debug)]
pub enum Inspection {
    /// Nothing yet: the first worker or client declares it.
    Fresh,
    /// Everything, and it matches the settings.
    Sound {
        /// Messages in the dead-letter queue.
        dead_letters: u32,
    },
    /// These queues or exchanges are missing; a worker declares them when it connects.
    Missing(Vec<String>),
    /// It was declared with other settings: [`Error::ShardCount`] or [`Error::Mismatch`].
    Other(Error),
}

/// What `tdfleet doctor` reports of RabbitMQ.
#[derive(Debug)]
pub struct BrokerReport {
    /// The server's version, such as `3.13.7`; `None` if it does not tell.
    pub version: Option<String>,
    /// What exists of the installation.
    pub topology: Inspection,
    /// What the user of `broker.uri` may not do of what a worker does, in RabbitMQ's words.
    pub refusals: Vec<String>,
}

/// Connects, compares what exists with the settings, and tries what a worker does; declares nothing
/// that does not exist, except for bindings between what does: AMQP cannot tell whether they do.
///
/// # Errors
///
/// [`Error::Uri`], and those of any step: RabbitMQ is unreachable or does not answer.
pub async fn inspect(
    settings: &BrokerSettings,
    names: Names,
    count: ShardCount,
) -> Result<BrokerReport, Error> {
    let connection = connection::connect(settings).await?;
    let version = server_version(&connection::uri(settings)?, settings.timeout()).await;
    let topology = Topology::new(settings, names, count);
    let inspector = TopologyInspector { connection, topology };
    let found = inspector.inspect().await?;
    let refusals = inspector.refusals(&found).await?;
    Ok(BrokerReport { version, topology: found, refusals })
}

struct TopologyInspector {
    connection: Connection,
    topology: Topology,
}

impl TopologyInspector {
    async fn inspect(&self) -> Result<Inspection, Error> {
        let names = &self.topology.names;
        let mut missing = self.missing().await?;
        if !self.has_exchange(&names.commands_exchange()).await? {
            if missing.len() == self.number_of_others() {
                return Ok(Inspection::Fresh);
            }
            missing.insert(0, names.commands_exchange());
            return Ok(Inspection::Missing(missing));
        }
        if !missing.is_empty() {
            return match self.topology.commands_exchange(&self.open().await?).await {
                Err(error @ Error::ShardCount { .. }) => Ok(Inspection::Other(error)),
                _ => Ok(Inspection::Missing(missing)),
            };
        }
        // Declaring what exists changes nothing: RabbitMQ compares.
        match self.topology.declare(&self.connection).await {
            Err(error @ (Error::ShardCount { .. } | Error::Mismatch { .. })) => {
                Ok(Inspection::Other(error))
            }
            Err(Error::Failed { source, .. }) if source.is(&AMQPSoftError::ACCESSREFUSED) => {
                self.sound().await
            }
            Err(error) => Err(error),
            Ok(()) => self.sound().await,
        }
    }

    async fn sound(&self) -> Result<Inspection, Error> {
        let letters = self.messages(&self.topology.names.dead_letter_queue()).await?;
        Ok(Inspection::Sound { dead_letters: letters.unwrap_or(0) })
    }

    async fn refusals(&self, found: &Inspection) -> Result<Vec<String>, Error> {
        let Self { connection, topology } = self;
        match found {
            Inspection::Sound { .. } => PermissionCheck { connection, topology }.refusals().await,
            _ => declare_refusal(connection, &topology.names, topology.timeout).await,
        }
    }

    /// How many queues and exchanges there are, except for the commands' exchange.
    fn number_of_others(&self) -> usize {
        5 + Flow::ALL.len() * usize::from(self.topology.count.get())
    }

    /// What does not exist, except for the commands' exchange.
    async fn missing(&self) -> Result<Vec<String>, Error> {
        let (names, count) = (&self.topology.names, self.topology.count);
        let mut missing = Vec::new();
        for name in [names.unrouted_exchange(count), names.expired_exchange()] {
            if !self.has_exchange(&name).await? {
                missing.push(name);
            }
        }
        let rest = [names.unrouted_queue(), names.expired_queue(), names.dead_letter_queue()];
        let commands = Flow::ALL.into_iter().flat_map(|flow| {
            count.shards().map(move |shard| names.command_queue(flow, shard, count))
        });
        for name in rest.into_iter().chain(commands) {
            if self.messages(&name).await?.is_none() {
                missing.push(name);
            }
        }
        Ok(missing)
    }

    /// A new channel for each look: RabbitMQ closes it if the name does not exist.
    async fn open(&self) -> Result<Channel, Error> {
        let opening = self.connection.create_channel();
        within(self.topology.timeout, "opening a channel", opening).await
    }

    async fn has_exchange(&self, name: &str) -> Result<bool, Error> {
        let channel = self.open().await?;
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let looked = channel.exchange_declare(
            name.into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        );
        found(within(self.topology.timeout, "looking for an exchange", looked).await)
            .map(|found| found.is_some())
    }

    /// How many messages are in a queue; `None` if it does not exist.
    async fn messages(&self, name: &str) -> Result<Option<u32>, Error> {
        let channel = self.open().await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let looked = channel.queue_declare(name.into(), options, FieldTable::default());
        let found = found(within(self.topology.timeout, "looking for a queue", looked).await)?;
        Ok(found.map(|queue| queue.message_count()))
    }
}

fn found<T>(looked: Result<T, Error>) -> Result<Option<T>, Error> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(Error::Failed { source, .. }) if source.is(&AMQPSoftError::NOTFOUND) => Ok(None),
        Err(error) => Err(error),
    }
}
