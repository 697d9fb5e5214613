//! One queue, consumed for as long as it is wanted.

use std::sync::Arc;
use std::time::Duration;

use contracts::Names;
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer};
use runtime::{CancellationToken, OnFailure, Stage};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::amqp::link::Links;
use crate::amqp::outlet::Outlet;
use crate::amqp::settle::Settler;
use crate::amqp::{reconnect_backoff, wire, within};
use crate::delivery::{Delivery, Execute, Settled};
use crate::error::Error;

/// Deliveries that are taken from lapin at once.
const CHUNK: usize = 64;

/// What it takes to consume one queue.
pub(crate) struct Consumption {
    pub(crate) stage: Stage,
    pub(crate) queue: String,
    pub(crate) execute: Arc<dyn Execute>,
    pub(crate) links: Links,
    pub(crate) outlet: Outlet,
    pub(crate) names: Names,
    pub(crate) prefetch: u16,
    pub(crate) timeout: Duration,
    /// Ends it in good order.
    pub(crate) stop: CancellationToken,
    /// Ends it at once.
    pub(crate) kill: CancellationToken,
}

impl Consumption {
    /// Consumes until `stop`, then until everything that was handed over is acknowledged; whether
    /// nothing was left.
    pub(crate) async fn run(mut self) -> bool {
        let mut backoff = reconnect_backoff();
        loop {
            let stop = self.stop.clone();
            let connected = stop.run_until_cancelled(self.links.connection());
            let Some(Some(connection)) = connected.await else { return true };
            let (mut links, since) = (self.links.clone(), Instant::now());
            let mut opened = None;
            let served = tokio::select! {
                served = self.serve(&connection, &mut opened) => served,
                () = links.given_up(&connection) => Err(Error::GivenUp),
                () = self.kill.cancelled() => Err(Error::Grace),
            };
            let error = match served {
                Ok(complete) => return complete,
                Err(error) => error,
            };
            if let Some(opened) = opened {
                self.close(opened);
            }
            let (queue, cause) = (&self.queue, runtime::error_chain(&error));
            if self.stop.is_cancelled() {
                warn!(queue, error = cause, "deliveries are left to be delivered again");
                return false;
            }
            if matches!(error, Error::NoLease) {
                warn!(queue, "a delivery came without a lease; its channel is closed");
            } else if connection.status().connected() && !matches!(error, Error::GivenUp) {
                warn!(queue, error = cause, "a consumer was lost; it will be set up again");
                self.links.report_damage();
            }
            drop(connection);
            backoff.reset_if_stable(since);
            stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await;
        }
    }

    /// Consumes by one channel; `Ok` only after `stop`.
    async fn serve(
        &self,
        connection: &Connection,
        opened: &mut Option<(Channel, Consumer)>,
    ) -> Result<bool, Error> {
        let timeout = self.timeout;
        let channel = within(timeout, "opening a channel", connection.create_channel()).await?;
        let consumer = self.consume(&channel).await?;
        *opened = Some((channel.clone(), consumer.clone()));
        debug!(queue = self.queue, "consuming");
        let (done, settled) = mpsc::unbounded_channel();
        let settler = Settler {
            channel: &channel,
            outlet: &self.outlet,
            names: &self.names,
            prefetch: self.prefetch,
            timeout: self.timeout,
            stop: self.stop.clone(),
        };
        // The reader owns the only sender but those in tickets: settling ends when no delivery can
        // be settled any more.
        let ((), complete) = tokio::try_join!(self.read(consumer, done), settler.run(settled))?;
        // Closing is answered after everything before it: the acknowledgements have arrived.
        within(self.timeout, "closing a channel", channel.close(200, "OK".into())).await?;
        Ok(complete)
    }

    async fn consume(&self, channel: &Channel) -> Result<Consumer, Error> {
        let timeout = self.timeout;
        let limited = channel.basic_qos(self.prefetch, BasicQosOptions::default());
        within(timeout, "setting the prefetch", limited).await?;
        let consuming = channel.basic_consume(
            self.queue.as_str().into(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        within(timeout, "consuming", consuming).await
    }

    /// Closes a channel, in its own time: lapin keeps one open for as long as it has a consumer, so
    /// that one which is only dropped would go on holding the queue. The consumer is dropped after
    /// it: see [`Self::read`].
    fn close(&self, (channel, consumer): (Channel, Consumer)) {
        let timeout = self.timeout;
        self.stage.spawn("channel", OnFailure::Log, async move {
            let closed = channel.close(200, "OK".into());
            if let Err(error) = within(timeout, "closing a channel", closed).await {
                debug!(
                    error = runtime::error_chain(&error),
                    "a channel was lost before it was closed"
                );
            }
            drop(consumer);
            Ok(())
        });
    }

    /// Hands over what comes, until `stop`. The consumer is not cancelled: what it has taken and not
    /// settled goes back to the head of the queue only when its channel is closed, and until then the
    /// next owner's consumer must not be given what is newer.
    async fn read(
        &self,
        consumer: Consumer,
        done: mpsc::UnboundedSender<Settled>,
    ) -> Result<(), Error> {
        let mut chunks = consumer.ready_chunks(CHUNK);
        loop {
            let chunk = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                chunk = chunks.next() => chunk.ok_or(Error::Ended)?,
            };
            for delivery in chunk {
                let delivery = delivery.map_err(|error| Error::Failed {
                    step: "taking a delivery",
                    source: error.into(),
                })?;
                let (tag, redelivered) = (delivery.delivery_tag, delivery.redelivered);
                let message = wire::message(delivery);
                self.execute.execute(Delivery::new(message, tag, redelivered, &done));
            }
        }
    }
}
