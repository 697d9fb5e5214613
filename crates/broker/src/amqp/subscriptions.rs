//! Which queues this process consumes.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use contracts::{Flow, Properties, Shard, ShardCount};
use futures_util::future::join_all;
use runtime::{CancellationToken, OnFailure, Stage};
use settings::BrokerSettings;
use tokio::sync::{oneshot, watch};
use tokio_util::task::TaskTracker;

use crate::amqp::connection::{ConnectionManager, ConnectionPurpose, ConnectionWatch};
use crate::amqp::publisher::AmqpPublisher;
use crate::amqp::queue_consumer::{ConsumerContext, QueueConsumer};
use crate::amqp::signature::MessageSigner;
use crate::amqp::topology::Topology;
use crate::delivery::MessageHandler;
use crate::error::Error;
use crate::identity::BusIdentity;
use crate::misrouted::{MisroutedCause, MisroutedHandler};
use crate::reply_queues::ReplyQueues;

/// Consumes the queues of the subscribed shards, and those of unroutable and expired messages.
pub(crate) struct Subscriptions {
    context: ConsumerContext,
    consumers: TaskTracker,
    connected: watch::Receiver<bool>,
    count: ShardCount,
    handler: Arc<dyn MessageHandler>,
    shards: Mutex<HashMap<Shard, [QueueSubscription; 2]>>,
}

/// One queue that is consumed.
struct QueueSubscription {
    stop: CancellationToken,
    kill: CancellationToken,
    /// Fires, with whether nothing was left unsettled, when the consumer ends.
    ended: oneshot::Receiver<bool>,
}

impl Subscriptions {
    pub(crate) fn start(
        stage: &Stage,
        settings: &BrokerSettings,
        identity: BusIdentity,
        handler: Arc<dyn MessageHandler>,
    ) -> Result<Self, Error> {
        let BusIdentity { names, count, key } = identity;
        let (timeout, signer) = (settings.timeout(), MessageSigner::new(key));
        let topology = Topology::new(settings, names.clone(), count);
        let consuming =
            ConnectionManager::new(settings, ConnectionPurpose::Consume, topology.clone())?;
        let replying =
            ConnectionManager::new(settings, ConnectionPurpose::Reply, topology.clone())?
                .with_declarations_of(&consuming);
        let consumers = TaskTracker::new();
        let stop = stopped_after(stage, &consumers);
        let replies = ReplyQueues::new(settings, &names);
        let publisher = AmqpPublisher::start(stage, replying, replies, timeout, stop);
        let (connection, prefetch) = (consuming.watch(), settings.prefetch);
        let connected = follow(stage, consuming.watch());
        stage.spawn("broker", OnFailure::Stop, consuming.run(stage.stopping()));
        let stage = stage.clone();
        let context = ConsumerContext {
            stage,
            connection,
            publisher,
            signer,
            names,
            topology,
            prefetch,
            timeout,
        };
        let shards = Mutex::default();
        let subscriptions = Self { context, consumers, connected, count, handler, shards };
        subscriptions.consume_misrouted();
        Ok(subscriptions)
    }

    pub(crate) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    pub(crate) fn subscribe(&self, shard: Shard) {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.entry(shard).or_insert_with(|| {
            Flow::ALL.map(|flow| {
                let queue = self.context.names.command_queue(flow, shard, self.count);
                self.consume(queue, Arc::clone(&self.handler))
            })
        });
    }

    pub(crate) async fn unsubscribe(&self, shard: Shard, grace: Duration) -> bool {
        let removed = self.shards.lock().unwrap_or_else(PoisonError::into_inner).remove(&shard);
        let Some(subscriptions) = removed else { return true };
        // When dropped, it closes the channels at once.
        let kills = subscriptions.each_ref().map(|one| one.kill.clone().drop_guard());
        let mut ended = pin!(join_all(subscriptions.map(|subscription| {
            subscription.stop.cancel();
            subscription.ended
        })));
        let in_time = match grace {
            Duration::ZERO => None,
            grace => tokio::time::timeout(grace, &mut ended).await.ok(),
        };
        let outcomes = if let Some(outcomes) = in_time {
            outcomes
        } else {
            drop(kills);
            ended.await
        };
        outcomes.into_iter().all(|complete| complete.unwrap_or(false))
    }

    pub(crate) fn reply(&self, command: &Properties, event: Bytes) {
        self.context.publisher.reply(command, event);
    }

    /// Until the stage stops: nobody unsubscribes these queues.
    fn consume_misrouted(&self) {
        let names = &self.context.names;
        for (queue, cause) in [
            (names.unrouted_queue(), MisroutedCause::Unrouted),
            (names.expired_queue(), MisroutedCause::Expired),
        ] {
            self.consume(queue, Arc::new(MisroutedHandler::new(self.count, cause)));
        }
    }

    fn consume(&self, queue: String, handler: Arc<dyn MessageHandler>) -> QueueSubscription {
        let consumer = QueueConsumer::new(self.context.clone(), queue, handler);
        let (stop, kill) = (consumer.stop(), consumer.kill());
        let (finished, ended) = oneshot::channel();
        let running = self.consumers.track_future(consumer.run());
        self.context.stage.spawn("consumer", OnFailure::Stop, async move {
            // Nobody waits for it unless the shard is unsubscribed.
            finished.send(running.await).ok();
            Ok(())
        });
        QueueSubscription { stop, kill, ended }
    }
}

/// Fires when the stage stops and no consumer is left: until then, there are replies to send.
fn stopped_after(stage: &Stage, consumers: &TaskTracker) -> CancellationToken {
    let token = CancellationToken::new();
    let (stop, consumers, settled) = (stage.stopping(), consumers.clone(), token.clone());
    stage.spawn("broker stop", OnFailure::Log, async move {
        stop.cancelled().await;
        consumers.close();
        consumers.wait().await;
        settled.cancel();
        Ok(())
    });
    token
}

/// Whether there is a connection, without access to it.
fn follow(stage: &Stage, mut connection: ConnectionWatch) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    stage.spawn("broker state", OnFailure::Log, async move {
        while let Some(up) = connection.changed().await {
            sender.send_replace(up);
        }
        Ok(())
    });
    receiver
}
