//! One connection, kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lapin::options::BasicQosOptions;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, Event};
use runtime::CancellationToken;
use settings::{BrokerSettings, ExposeSecret};
use tokio::sync::watch;
use tokio::time::Instant;
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

/// The present connection, for whoever uses it.
///
/// A user holds the connection up: when the stage stops it closes as the last of them has
/// acknowledged what is settled.
#[derive(Clone)]
pub(crate) struct Links {
    present: watch::Receiver<Option<Weak<Connection>>>,
    damaged: Arc<AtomicBool>,
}

impl Links {
    /// The present connection, as soon as there is one; `None` once nobody keeps it any more.
    pub(crate) async fn connection(&mut self) -> Option<Arc<Connection>> {
        let link = self.present.wait_for(Option::is_some).await.ok()?;
        link.as_ref().and_then(Weak::upgrade)
    }

    /// Returns when its keeper has given the connection up; it may still look alive.
    pub(crate) async fn given_up(&mut self, connection: &Arc<Connection>) {
        let used = Arc::downgrade(connection);
        let other =
            |link: &Option<Weak<Connection>>| !link.as_ref().is_some_and(|link| link.ptr_eq(&used));
        if self.present.wait_for(other).await.is_err() {
            // The keeper has stopped, in good order.
            std::future::pending::<()>().await;
        }
    }

    /// Something failed on a connection that stands: a queue may have been deleted. The keeper
    /// declares everything again.
    pub(crate) fn report_damage(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// Whether there is a connection; its changes.
    pub(crate) async fn changed(&mut self) -> Option<bool> {
        self.present.changed().await.ok()?;
        Some(self.present.borrow_and_update().is_some())
    }
}

/// What a connection is for; its name in RabbitMQ's own lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A worker takes commands.
    Consume,
    /// A worker answers, forwards and puts aside; always beside [`Self::Consume`], which declares
    /// the topology and says what is wrong.
    Answer,
    /// A publisher of commands.
    Publish,
}

/// One connection that nobody keeps, for an operator's command.
pub(crate) async fn connect(settings: &BrokerSettings) -> Result<Connection, Error> {
    let properties = ConnectionProperties::default().with_connection_name("tdfleet".into());
    let connecting = Connection::connect_uri(uri(settings)?, properties);
    within(settings.timeout(), "connecting", connecting).await
}

/// Checks the URI without connecting.
pub(crate) fn check_uri(settings: &BrokerSettings) -> Result<(), Error> {
    uri(settings).map(drop)
}

fn uri(settings: &BrokerSettings) -> Result<AMQPUri, Error> {
    let mut uri: AMQPUri = settings.uri.expose_secret().parse().map_err(|_| Error::Uri)?;
    let heartbeat = uri.query.heartbeat.unwrap_or(HEARTBEAT).max(SHORTEST_HEARTBEAT);
    uri.query.heartbeat = Some(heartbeat);
    uri.query.connection_timeout = Some(settings.timeout_ms);
    Ok(uri)
}

/// Keeps one connection.
pub(crate) struct Keeper {
    uri: AMQPUri,
    purpose: Purpose,
    topology: Topology,
    links: watch::Sender<Option<Weak<Connection>>>,
    damaged: Arc<AtomicBool>,
}

impl Keeper {
    /// A keeper that has not connected yet.
    pub(crate) fn new(
        settings: &BrokerSettings,
        purpose: Purpose,
        topology: Topology,
    ) -> Result<Self, Error> {
        let uri = uri(settings)?;
        let damaged = Arc::new(AtomicBool::new(false));
        Ok(Self { uri, purpose, topology, links: watch::Sender::new(None), damaged })
    }

    /// Follows the connection.
    pub(crate) fn links(&self) -> Links {
        Links { present: self.links.subscribe(), damaged: Arc::clone(&self.damaged) }
    }

    /// Connects, and connects again after each fault, until `stop`.
    ///
    /// # Errors
    ///
    /// [`Error::ShardCount`] and [`Error::Mismatch`]: trying again would not help.
    pub(crate) async fn keep(self, stop: CancellationToken) -> anyhow::Result<()> {
        stop.run_until_cancelled(self.keep_on()).await.unwrap_or(Ok(()))
    }

    async fn keep_on(&self) -> anyhow::Result<()> {
        let place = format!("{}:{}", self.uri.authority.host, self.uri.authority.port);
        let mut backoff = Backoff::default();
        let mut told = false;
        loop {
            let error = match self.open().await {
                Ok((connection, probe)) => {
                    if self.purpose != Purpose::Answer {
                        info!(place, "connected to RabbitMQ");
                    }
                    told = false;
                    let since = Instant::now();
                    let connection = Arc::new(connection);
                    let events = connection.events_listener();
                    self.links.send_replace(Some(Arc::downgrade(&connection)));
                    let error = self.watch(&connection, events, &probe).await;
                    self.links.send_replace(None);
                    backoff.began(since);
                    error
                }
                Err(error @ (Error::ShardCount { .. } | Error::Mismatch { .. })) => {
                    return Err(error.into());
                }
                Err(error) => error,
            };
            if !told && self.purpose != Purpose::Answer {
                let error = runtime::chain(&error);
                warn!(place, error, "RabbitMQ cannot be reached, trying again until it can");
            }
            told = true;
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn open(&self) -> Result<(Connection, Channel), Error> {
        let timeout = self.topology.timeout;
        let name = match self.purpose {
            Purpose::Consume => "tdfleet worker",
            Purpose::Answer => "tdfleet worker's answers",
            Purpose::Publish => "tdfleet publisher",
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = Connection::connect_uri(self.uri.clone(), properties);
        let connection = within(timeout, "connecting", connecting).await?;
        self.declare(&connection).await?;
        let probe = within(timeout, "opening a channel", connection.create_channel()).await?;
        Ok((connection, probe))
    }

    async fn declare(&self, connection: &Connection) -> Result<(), Error> {
        match self.purpose {
            Purpose::Consume | Purpose::Publish => self.topology.declare(connection).await,
            Purpose::Answer => Ok(()),
        }
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
                        return lost(source);
                    }
                    Some(_) => {}
                    None => return Error::Ended,
                },
                // While it is blocked it is not read from.
                _ = ticks.tick(), if !connection.status().blocked() => {
                    if let Err(error) = self.check(connection, probe).await {
                        return error;
                    }
                }
            }
        }
    }

    async fn check(&self, connection: &Connection, probe: &Channel) -> Result<(), Error> {
        if self.damaged.swap(false, Ordering::Relaxed) {
            self.declare(connection).await?;
        }
        let asked = probe.basic_qos(1, BasicQosOptions::default());
        within(self.topology.timeout, "a probe", asked).await
    }
}

fn lost(error: lapin::Error) -> Error {
    if matches!(error.kind(), ErrorKind::ParsingError(_)) {
        Error::Unparsable { source: error.into() }
    } else {
        Error::Failed { step: "the connection", source: error.into() }
    }
}
