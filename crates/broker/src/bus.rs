//! The consuming end of the bus.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::{Names, Properties, Shard, ShardCount};
use runtime::Stage;
use settings::BrokerSettings;
use tokio::sync::watch;

use crate::delivery::Execute;
use crate::error::Error;
use crate::publisher::Publisher;
use crate::{amqp, local};

/// Hands the commands of the subscribed shards over.
#[derive(Clone)]
pub struct Bus(Kind);

#[derive(Clone)]
enum Kind {
    Amqp(Arc<amqp::Intake>),
    Local(Arc<local::Hub>),
}

impl Bus {
    /// Starts consuming from RabbitMQ, inside `stage`.
    ///
    /// It connects, declares the whole topology and begins with what nobody could route and what
    /// expired; the shards' own queues follow by [`Self::subscribe`]. While RabbitMQ is away it says
    /// so once and keeps trying; afterwards everything is declared and subscribed again. When the
    /// stage stops, nothing more is handed over, and the stage waits for what was.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`]. An exchange of another shard count, or a queue of another type, shows only
    /// once RabbitMQ answers: then a task of the stage fails, and the process with it.
    pub fn start(
        stage: &Stage,
        settings: &BrokerSettings,
        names: Names,
        count: ShardCount,
        execute: Arc<dyn Execute>,
    ) -> Result<Self, Error> {
        let intake = amqp::Intake::start(stage, settings, names, count, execute)?;
        Ok(Self(Kind::Amqp(Arc::new(intake))))
    }

    /// Checks what [`Self::start`] can refuse, before anything is started.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`].
    pub fn check(settings: &BrokerSettings) -> Result<(), Error> {
        amqp::check_uri(settings)
    }

    /// A bus inside this process, and the publisher for it.
    ///
    /// Commands take the same way through the same bytes, in the order they are published, and wait
    /// while their shard is not subscribed. There is no server to keep them: what is unsettled when
    /// the process ends is lost.
    pub fn in_process(
        stage: &Stage,
        count: ShardCount,
        execute: Arc<dyn Execute>,
    ) -> (Self, Publisher) {
        let hub = Arc::new(local::Hub::new(stage, count, execute));
        (Self(Kind::Local(Arc::clone(&hub))), Publisher::in_process(hub))
    }

    /// Begins to take over a shard's commands, now or as soon as there is a connection; does
    /// nothing if it does already. Only the holder of the shard's lease may call it.
    pub fn subscribe(&self, shard: Shard) {
        match &self.0 {
            Kind::Amqp(intake) => intake.subscribe(shard),
            Kind::Local(hub) => hub.subscribe(shard),
        }
    }

    /// Takes over nothing more of a shard, waits until what was taken over is settled and
    /// acknowledged, at most `grace`, and closes the shard's channels. With no grace at all it closes
    /// them at once, whatever was taken over: for a worker that has lost the lease.
    ///
    /// `false` where something is left: RabbitMQ gives it, marked as redelivered, to whoever
    /// subscribes next.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the channels at once.
    pub async fn unsubscribe(&self, shard: Shard, grace: Duration) -> bool {
        match &self.0 {
            Kind::Amqp(intake) => intake.unsubscribe(shard, grace).await,
            Kind::Local(hub) => hub.unsubscribe(shard, grace).await,
        }
    }

    /// Sends the answer to a command whose delivery was settled as
    /// [`Kept`](crate::Settlement::Kept): to `reply_to`, if `command` has one. Never blocks; like
    /// every reply it is sent once, without a confirm, and is let go where there is no connection in
    /// time. The event's place is the log.
    pub fn reply(&self, command: &Properties, event: Bytes) {
        match &self.0 {
            Kind::Amqp(intake) => intake.reply(command, event),
            Kind::Local(hub) => hub.reply(command, &event),
        }
    }

    /// Whether the bus can be reached; changes as the connection comes and goes.
    pub fn connected(&self) -> watch::Receiver<bool> {
        match &self.0 {
            Kind::Amqp(intake) => intake.connected(),
            Kind::Local(hub) => hub.connected(),
        }
    }
}
