//! One connection, kept.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lapin::options::BasicQosOptions;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use runtime::CancellationToken;
use settings::{BrokerSettings, ExposeSecret};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::amqp::topology::Topology;
use crate::amqp::within;
use crate::backoff::Backoff;
use crate::error::Error;

/// Seconds between heartbeats, unless the URI asks for another number; RabbitMQ is taken for gone
/// after two silent intervals. Under five it is gone at every hiccup.
const HEARTBEAT: u16 = 10;
const SHORTEST_HEARTBEAT: u16 = 5;

/// Time between questions to RabbitMQ: a connection can be up and dead (lapin, issues 288 and 389).
const PROBE: Duration = Duration::from_secs(5);

/// The present connection; `None` while there is none.
pub(crate) type Links = watch::Receiver<Option<Arc<Connection>>>;

/// What a connection is for; its name in RabbitMQ's own lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Consume,
    Publish,
}

/// Keeps one connection.
pub(crate) struct Keeper {
    uri: AMQPUri,
    purpose: Purpose,
    topology: Topology,
    links: watch::Sender<Option<Arc<Connection>>>,
}

impl Keeper {
    /// A keeper that has not connected yet.
    pub(crate) fn new(
        settings: &BrokerSettings,
        purpose: Purpose,
        topology: Topology,
    ) -> Result<Self, Error> {
        let mut uri: AMQPUri = settings.uri.expose_secret().parse().map_err(|_| Error::Uri)?;
        let heartbeat = uri.query.heartbeat.unwrap_or(HEARTBEAT).max(SHORTEST_HEARTBEAT);
        uri.query.heartbeat = Some(heartbeat);
        uri.query.connection_timeout = Some(settings.timeout_ms);
        Ok(Self { uri, purpose, topology, links: watch::Sender::new(None) })
    }

    /// Follows the connection.
    pub(crate) fn links(&self) -> Links {
        self.links.subscribe()
    }

    /// Connects, and connects again after each fault, until `stop`.
    ///
    /// # Errors
    ///
    /// [`Error::ShardCount`] and [`Error::Mismatch`]: trying again would not help.
    pub(crate) async fn keep(self, stop: CancellationToken) -> anyhow::Result<()> {
        let kept = stop.run_until_cancelled(self.keep_on()).await;
        // Channels hold the connection until they have acknowledged what is settled.
        self.links.send_replace(None);
        kept.unwrap_or(Ok(()))
    }

    async fn keep_on(&self) -> anyhow::Result<()> {
        let place = format!("{}:{}", self.uri.authority.host, self.uri.authority.port);
        let mut backoff = Backoff::default();
        let mut told = false;
        loop {
            let error = match self.open().await {
                Ok((connection, probe)) => {
                    info!(place, "connected to RabbitMQ");
                    (told, backoff) = (false, Backoff::default());
                    let connection = Arc::new(connection);
                    let events = connection.events_listener();
                    self.links.send_replace(Some(Arc::clone(&connection)));
                    let error = self.watch(&connection, events, &probe).await;
                    self.links.send_replace(None);
                    error
                }
                Err(error @ (Error::ShardCount { .. } | Error::Mismatch { .. })) => {
                    return Err(error.into());
                }
                Err(error) => error,
            };
            if !told {
                let error = runtime::chain(&error);
                warn!(place, error, "RabbitMQ cannot be reached, trying again until it can");
                told = true;
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn open(&self) -> Result<(Connection, Channel), Error> {
        let timeout = self.topology.timeout;
        let name = match self.purpose {
            Purpose::Consume => "tdfleet worker",
            Purpose::Publish => "tdfleet publisher",
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connect_uri(self.uri.clone(), properties);
        let connection = within(timeout, "connecting", connecting).await?;
        match self.purpose {
            Purpose::Consume => self.topology.declare(&connection).await?,
            Purpose::Publish => self.topology.ensure(&connection).await?,
        }
        let probe = within(timeout, "opening a channel", connection.create_channel()).await?;
        Ok((connection, probe))
    }

    /// Returns when the connection is lost.
    async fn watch(
        &self,
        connection: &Connection,
        mut events: impl Stream<Item = Event> + Unpin,
        probe: &Channel,
    ) -> Error {
        let mut ticks = tokio::time::interval(PROBE);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        warn!(reason, "RabbitMQ takes no messages for now");
                    }
                    Some(Event::ConnectionUnblocked) => info!("RabbitMQ takes messages again"),
                    // Channels report their errors here as well, and deal with them.
                    Some(Event::Error(source)) if !connection.status().connected() => {
                        return Error::Failed { step: "the connection", source };
                    }
                    Some(_) => {}
                    None => return Error::Ended,
                },
                _ = ticks.tick() => {
                    let asked = probe.basic_qos(1, BasicQosOptions::default());
                    if let Err(error) = within(self.topology.timeout, "a probe", asked).await {
                        return error;
                    }
                }
            }
        }
    }
}
