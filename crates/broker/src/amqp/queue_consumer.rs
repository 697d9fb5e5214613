//! Consuming one queue for as long as it is subscribed.

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

use crate::amqp::connection::ConnectionWatch;
use crate::amqp::publisher::AmqpPublisher;
use crate::amqp::settle::ChannelSettler;
use crate::amqp::signature::MessageSigner;
use crate::amqp::timing::reconnect_backoff;
use crate::amqp::timing::within;
use crate::amqp::topology::Topology;
use crate::delivery::{MessageHandler, ReceivedMessage};
use crate::error::Error;
use crate::settlement::SettleRequest;

/// Deliveries that are taken from lapin together.
const CHUNK: usize = 64;

/// What all consumers of a process share.
#[derive(Clone)]
pub(crate) struct ConsumerContext {
    pub(crate) stage: Stage,
    pub(crate) connection: ConnectionWatch,
    pub(crate) publisher: AmqpPublisher,
    pub(crate) signer: MessageSigner,
    pub(crate) names: Names,
    pub(crate) topology: Topology,
    pub(crate) prefetch: u16,
    pub(crate) timeout: Duration,
}

/// Consumes one queue.
pub(crate) struct QueueConsumer {
    context: ConsumerContext,
    queue: String,
    handler: Arc<dyn MessageHandler>,
    stop: CancellationToken,
    kill: CancellationToken,
}

/// How one channel of a consumer ended.
enum ServeOutcome {
    /// Stopped; everything that was delivered is acknowledged.
    Complete,
    /// Stopped or killed; RabbitMQ redelivers what is unsettled.
    Incomplete,
    /// It failed, and another channel replaces it.
    Retry(Error),
}

impl QueueConsumer {
    pub(crate) fn new(
        context: ConsumerContext,
        queue: String,
        handler: Arc<dyn MessageHandler>,
    ) -> Self {
        let stop = context.stage.stopping().child_token();
        Self { context, queue, handler, stop, kill: CancellationToken::new() }
    }

    /// Cancelled, it ends the consumer once everything that was delivered is acknowledged.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Cancelled after [`Self::stop`], it ends the consumer at once.
    pub(crate) fn kill(&self) -> CancellationToken {
        self.kill.clone()
    }

    /// Consumes until it is stopped; whether nothing was left unsettled.
    pub(crate) async fn run(mut self) -> bool {
        let mut backoff = reconnect_backoff();
        let stop = self.stop.clone();
        loop {
            let connected = stop.run_until_cancelled(self.context.connection.current());
            let Some(Some(connection)) = connected.await else { return true };
            let (mut watch, since) = (self.context.connection.clone(), Instant::now());
            let mut opened = None;
            let served = tokio::select! {
                biased;
                served = self.serve(&connection, &mut opened) => served,
                () = watch.replaced(&connection) => Err(Error::Replaced),
                () = self.kill.cancelled() => Err(Error::Grace),
            };
            match self.outcome(served, opened) {
                ServeOutcome::Complete => return true,
                ServeOutcome::Incomplete => return false,
                ServeOutcome::Retry(error) => self.report(&error, &connection),
            }
            drop(connection);
            backoff.reset_if_stable(since);
            stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await;
        }
    }

    fn outcome(
        &self,
        served: Result<bool, Error>,
        opened: Option<(Channel, Consumer)>,
    ) -> ServeOutcome {
        let error = match served {
            Ok(true) => return ServeOutcome::Complete,
            Ok(false) => return ServeOutcome::Incomplete,
            Err(error) => error,
        };
        if let Some(opened) = opened {
            self.close(opened);
        }
        if self.stop.is_cancelled() {
            let error = runtime::error_chain(&error);
            warn!(queue = self.queue, error, "unsettled deliveries will be redelivered");
            return ServeOutcome::Incomplete;
        }
        ServeOutcome::Retry(error)
    }

    /// Logs why the channel failed, unless it is the connection's fault, which its manager logs.
    fn report(&self, error: &Error, connection: &Connection) {
        let queue = &self.queue;
        if matches!(error, Error::NoLease) {
            warn!(queue, "delivery refused without a lease; closing its channel");
        } else if connection.status().connected() && !matches!(error, Error::Replaced) {
            warn!(queue, error = runtime::error_chain(error), "consumer lost; restarting it");
            self.context.connection.request_redeclare();
        }
    }

    /// Consumes on one channel, which it leaves in `opened`; `Ok` only after `stop`, with whether
    /// everything was settled.
    async fn serve(
        &self,
        connection: &Connection,
        opened: &mut Option<(Channel, Consumer)>,
    ) -> Result<bool, Error> {
        let ConsumerContext { publisher, signer, names, topology, prefetch, timeout, .. } =
            &self.context;
        let (prefetch, timeout) = (*prefetch, *timeout);
        let channel = within(timeout, "opening a channel", connection.create_channel()).await?;
        let consumer = self.consume(&channel).await?;
        *opened = Some((channel.clone(), consumer.clone()));
        debug!(queue = self.queue, "consuming");
        let (sender, requests) = mpsc::unbounded_channel();
        let stop = self.stop.clone();
        let settler = ChannelSettler {
            channel: &channel,
            publisher,
            signer,
            names,
            topology,
            prefetch,
            timeout,
            stop,
        };
        // Apart from the tickets' senders, the reader owns the only one: settling ends when no
        // delivery can be settled any more.
        let ((), complete) = tokio::try_join!(self.read(consumer, sender), settler.run(requests))?;
        // RabbitMQ answers a close after everything before it: the acknowledgements have arrived.
        within(timeout, "closing a channel", channel.close(200, "OK".into())).await?;
        Ok(complete)
    }

    async fn consume(&self, channel: &Channel) -> Result<Consumer, Error> {
        let ConsumerContext { prefetch, timeout, .. } = self.context;
        let limited = channel.basic_qos(prefetch, BasicQosOptions::default());
        within(timeout, "setting the prefetch", limited).await?;
        let consuming = channel.basic_consume(
            self.queue.as_str().into(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        within(timeout, "consuming", consuming).await
    }

    /// Closes a channel in the background: lapin keeps a channel open while it has a consumer, so one
    /// that is only dropped would keep the queue. The consumer is dropped after it: see
    /// [`Self::read`].
    fn close(&self, (channel, consumer): (Channel, Consumer)) {
        let timeout = self.context.timeout;
        self.context.stage.spawn("channel", OnFailure::Log, async move {
            let closed = channel.close(200, "OK".into());
            if let Err(error) = within(timeout, "closing a channel", closed).await {
                debug!(error = runtime::error_chain(&error), "channel lost before it was closed");
            }
            drop(consumer);
            Ok(())
        });
    }

    /// Passes deliveries to the handler, until `stop`. The consumer is not cancelled: its unsettled
    /// deliveries return to the head of the queue only when its channel is closed, and until then
    /// the next owner's consumer must not be given newer ones.
    async fn read(
        &self,
        consumer: Consumer,
        requests: mpsc::UnboundedSender<SettleRequest>,
    ) -> Result<(), Error> {
        let mut chunks = consumer.ready_chunks(CHUNK);
        loop {
            let chunk = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                chunk = chunks.next() => chunk.ok_or(Error::ConsumerEnded)?,
            };
            for delivery in chunk {
                let delivery = delivery.map_err(|error| Error::Failed {
                    step: "receiving a delivery",
                    source: error.into(),
                })?;
                let (tag, redelivered) = (delivery.delivery_tag, delivery.redelivered);
                let message = self.context.signer.read(delivery);
                self.handler.receive(ReceivedMessage::new(message, tag, redelivered, &requests));
            }
        }
    }
}
