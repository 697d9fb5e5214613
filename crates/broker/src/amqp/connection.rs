//! A connection that is replaced when it fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use contracts::CallerName;
use futures_util::{Stream, StreamExt};
use lapin::options::BasicQosOptions;
use lapin::protocol::AMQPSoftError;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use runtime::CancellationToken;
use settings::{BrokerSettings, ExposeSecret};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::amqp::timing::reconnect_backoff;
use crate::amqp::timing::within;
use crate::amqp::topology::Topology;
use crate::amqp::topology_check::TopologyCheck;
use crate::amqp::transport;
use crate::error::Error;

/// Seconds between heartbeats, unless the URI sets another number. Two silent intervals end the
/// connection, so fewer than five seconds would end it at every hiccup.
const HEARTBEAT: u16 = 10;
const SHORTEST_HEARTBEAT: u16 = 5;

/// Time between probes: a connection can look alive and be dead (lapin, issues 288 and 389).
const PROBE: Duration = Duration::from_secs(5);

/// The current connection, for its users.
///
/// Users keep the connection open: when the stage stops, it closes once the last of them has
/// acknowledged what is settled.
#[derive(Clone)]
pub(crate) struct ConnectionWatch {
    current: watch::Receiver<Option<Weak<Connection>>>,
    redeclare: Arc<AtomicBool>,
}

impl ConnectionWatch {
    /// The current connection, as soon as there is one; `None` once its manager has stopped.
    pub(crate) async fn current(&mut self) -> Option<Arc<Connection>> {
        let current = self.current.wait_for(Option::is_some).await.ok()?;
        current.as_ref().and_then(Weak::upgrade)
    }

    /// Returns when the manager has given up this connection, which may still look alive.
    pub(crate) async fn replaced(&mut self, connection: &Arc<Connection>) {
        let used = Arc::downgrade(connection);
        let other = |current: &Option<Weak<Connection>>| {
            !current.as_ref().is_some_and(|current| current.ptr_eq(&used))
        };
        if self.current.wait_for(other).await.is_err() {
            // The manager has stopped: nothing replaces the connection.
            std::future::pending::<()>().await;
        }
    }

    /// Makes a manager declare the topology again, within [`PROBE`]: something failed on a connection
    /// that is up, perhaps because a queue was deleted.
    pub(crate) fn request_redeclare(&self) {
        self.redeclare.store(true, Ordering::Relaxed);
    }

    /// Waits for a change; whether there is a connection now. `None` once its manager has stopped.
    pub(crate) async fn changed(&mut self) -> Option<bool> {
        self.current.changed().await.ok()?;
        Some(self.current.borrow_and_update().is_some())
    }
}

/// What a connection is for; determines its name in RabbitMQ's lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionPurpose {
    /// A worker consumes commands.
    Consume,
    /// A worker replies, forwards and dead-letters. It comes with [`Self::Consume`], which declares
    /// the topology and logs faults.
    Reply,
    /// A client publishes commands.
    Publish,
}

/// One connection without a manager, for an operator's command.
pub(crate) async fn connect(settings: &BrokerSettings) -> Result<Connection, Error> {
    let properties = ConnectionProperties::default().with_connection_name("tdfleet".into());
    let connecting = transport::connect(uri(settings)?, properties);
    within(settings.timeout(), "connecting", connecting).await
}

/// Checks the URI without connecting.
pub(crate) fn check_uri(settings: &BrokerSettings) -> Result<(), Error> {
    uri(settings).map(drop)
}

/// The user that connects, who is the caller of what is published.
pub(crate) fn user(settings: &BrokerSettings) -> Result<Option<CallerName>, Error> {
    Ok(CallerName::new(&uri(settings)?.authority.userinfo.username))
}

fn uri(settings: &BrokerSettings) -> Result<AMQPUri, Error> {
    let mut uri: AMQPUri = settings.uri.expose_secret().parse().map_err(|_| Error::Uri)?;
    // The parser passes over an IPv6 address, and takes `localhost` instead.
    if let Some(address) = settings.host().filter(|host| host.contains(':')) {
        uri.authority.host = address;
    }
    let heartbeat = uri.query.heartbeat.unwrap_or(HEARTBEAT).max(SHORTEST_HEARTBEAT);
    uri.query.heartbeat = Some(heartbeat);
    uri.query.connection_timeout = Some(settings.timeout_ms);
    Ok(uri)
}

/// Keeps one connection open.
pub(crate) struct ConnectionManager {
    uri: AMQPUri,
    purpose: ConnectionPurpose,
    topology: Topology,
    /// How often the topology is declared again without being asked to; only by a worker, once.
    check_topology_every: Option<Duration>,
    current: watch::Sender<Option<Weak<Connection>>>,
    redeclare: Arc<AtomicBool>,
}

impl ConnectionManager {
    /// A manager that has not connected yet.
    pub(crate) fn new(
        settings: &BrokerSettings,
        purpose: ConnectionPurpose,
        topology: Topology,
    ) -> Result<Self, Error> {
        let uri = uri(settings)?;
        let (current, redeclare) = (watch::Sender::new(None), Arc::default());
        let is_worker = purpose == ConnectionPurpose::Consume;
        let check_topology_every = is_worker.then(|| settings.topology_check());
        Ok(Self { uri, purpose, topology, check_topology_every, current, redeclare })
    }

    /// Leaves declaring to another manager, which does it when either is asked to.
    #[must_use]
    pub(crate) fn with_declarations_of(self, other: &Self) -> Self {
        Self { redeclare: Arc::clone(&other.redeclare), ..self }
    }

    /// Follows the connection.
    pub(crate) fn watch(&self) -> ConnectionWatch {
        let redeclare = Arc::clone(&self.redeclare);
        ConnectionWatch { current: self.current.subscribe(), redeclare }
    }

    /// Connects, and reconnects after each fault, until `stop`.
    ///
    /// # Errors
    ///
    /// [`Error::ShardCount`] and [`Error::Mismatch`]: retrying would not help.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        stop.run_until_cancelled(self.reconnect_forever()).await.unwrap_or(Ok(()))
    }

    async fn reconnect_forever(&self) -> anyhow::Result<()> {
        let place = format!("{}:{}", self.uri.authority.host, self.uri.authority.port);
        let logs = self.purpose != ConnectionPurpose::Reply;
        let mut backoff = reconnect_backoff();
        let mut logged = false;
        loop {
            let error = match self.open().await {
                Ok((connection, probe)) => {
                    if logs {
                        info!(place, "connected to RabbitMQ");
                    }
                    logged = false;
                    let since = Instant::now();
                    let error = self.serve(Arc::new(connection), &probe).await;
                    backoff.reset_if_stable(since);
                    error
                }
                Err(error @ (Error::ShardCount { .. } | Error::Mismatch { .. })) => {
                    return Err(error.into());
                }
                Err(error) => error,
            };
            if logs && !logged {
                warn!(
                    place,
                    error = runtime::error_chain(&error),
                    "RabbitMQ is unreachable; retrying"
                );
            }
            logged = true;
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    /// Offers the connection to its users until it fails.
    async fn serve(&self, connection: Arc<Connection>, probe: &Channel) -> Error {
        let events = connection.events_listener();
        self.current.send_replace(Some(Arc::downgrade(&connection)));
        let error = self.monitor(&connection, events, probe).await;
        self.current.send_replace(None);
        error
    }

    async fn open(&self) -> Result<(Connection, Channel), Error> {
        let timeout = self.topology.timeout;
        let name = match self.purpose {
            ConnectionPurpose::Consume => "tdfleet worker",
            ConnectionPurpose::Reply => "tdfleet worker's answers",
            ConnectionPurpose::Publish => "tdfleet publisher",
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connecting = transport::connect(self.uri.clone(), properties);
        let connection = within(timeout, "connecting", connecting).await?;
        self.declare(&connection).await?;
        let probe = within(timeout, "opening a channel", connection.create_channel()).await?;
        Ok((connection, probe))
    }

    async fn declare(&self, connection: &Connection) -> Result<(), Error> {
        match self.purpose {
            ConnectionPurpose::Consume => self.topology.declare(connection).await,
            // A client needs write rights only: what it may not declare, the workers declare.
            ConnectionPurpose::Publish => match self.topology.declare(connection).await {
                Err(Error::Failed { source, .. }) if source.is(&AMQPSoftError::ACCESSREFUSED) => {
                    Ok(())
                }
                declared => declared,
            },
            ConnectionPurpose::Reply => Ok(()),
        }
    }

    /// Returns when the connection is lost.
    async fn monitor(
        &self,
        connection: &Connection,
        mut events: impl Stream<Item = Event> + Unpin,
        probe: &Channel,
    ) -> Error {
        let mut ticks = tokio::time::interval(PROBE);
        let mut check = TopologyCheck::new(self.check_topology_every);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        warn!(reason, "RabbitMQ is blocking publishers");
                    }
                    Some(Event::ConnectionUnblocked) => info!("RabbitMQ accepts messages again"),
                    // Channels report their errors here as well; their users handle them.
                    Some(Event::Error(source)) if !connection.status().connected() => {
                        return lost(source);
                    }
                    Some(_) => {}
                    None => return Error::ConsumerEnded,
                },
                // RabbitMQ does not read from a blocked connection.
                _ = ticks.tick(), if !connection.status().blocked() => {
                    if self.is_declaration_due(&mut check) {
                        check.report(self.topology.declare(connection).await);
                    }
                    if let Err(error) = self.probe(probe).await {
                        return error;
                    }
                }
            }
        }
    }

    fn is_declaration_due(&self, check: &mut TopologyCheck) -> bool {
        let declares = self.purpose != ConnectionPurpose::Reply;
        declares && (check.is_due() | self.redeclare.swap(false, Ordering::Relaxed))
    }

    async fn probe(&self, channel: &Channel) -> Result<(), Error> {
        let probed = channel.basic_qos(1, BasicQosOptions::default());
        within(self.topology.timeout, "a probe", probed).await
    }
}

fn lost(error: lapin::Error) -> Error {
    Error::Failed { step: "the connection", source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_connected_to_and_not_passed_over() {
        for (text, host) in [
            ("amqp://[fd00::1]:5690/%2f", "fd00::1"),
            ("amqp://127.0.0.1:5690", "127.0.0.1"),
            ("amqp://rabbitmq.example.org:5690", "rabbitmq.example.org"),
        ] {
            let settings = BrokerSettings { uri: text.into(), ..BrokerSettings::default() };
            let authority = uri(&settings).unwrap().authority;
            assert_eq!((authority.host.as_str(), authority.port), (host, 5690));
        }
    }
}
