//! Which queues this process consumes.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use contracts::{Flow, Names, Properties, Shard, ShardCount};
use futures_util::future::join_all;
use runtime::{CancellationToken, OnFailure, Stage};
use settings::BrokerSettings;
use tokio::sync::{oneshot, watch};
use tokio_util::task::TaskTracker;

use crate::amqp::consume::Consumption;
use crate::amqp::link::{Keeper, Links, Purpose};
use crate::amqp::outlet::Outlet;
use crate::amqp::topology::Topology;
use crate::delivery::Execute;
use crate::error::Error;
use crate::sorter::Sorter;

/// Consumes the subscribed shards' queues, and what nobody could route or what expired.
pub(crate) struct Intake {
    stage: Stage,
    links: Links,
    outlet: Outlet,
    consumers: TaskTracker,
    connected: watch::Receiver<bool>,
    names: Names,
    count: ShardCount,
    prefetch: u16,
    timeout: Duration,
    execute: Arc<dyn Execute>,
    shards: Mutex<HashMap<Shard, [Subscription; 2]>>,
}

/// One queue that is consumed.
struct Subscription {
    stop: CancellationToken,
    kill: CancellationToken,
    /// Fires, with whether nothing was left, when its task ends.
    ended: oneshot::Receiver<bool>,
}

impl Intake {
    pub(crate) fn start(
        stage: &Stage,
        settings: &BrokerSettings,
        names: Names,
        count: ShardCount,
        execute: Arc<dyn Execute>,
    ) -> Result<Self, Error> {
        let timeout = settings.timeout();
        let queue_type = settings.queue_type;
        let topology = Topology { names: names.clone(), count, queue_type, timeout };
        let answering = Keeper::new(settings, Purpose::Answer, topology.clone())?;
        let consumers = TaskTracker::new();
        let outlet = Outlet::start(stage, answering, timeout, after(stage, &consumers));
        let keeper = Keeper::new(settings, Purpose::Consume, topology)?;
        let links = keeper.links();
        let connected = follow(stage, keeper.links());
        stage.spawn("broker", OnFailure::Stop, keeper.keep(stage.stopping()));
        let intake = Self {
            stage: stage.clone(),
            links,
            outlet,
            consumers,
            connected,
            names,
            count,
            prefetch: settings.prefetch,
            timeout,
            execute,
            shards: Mutex::default(),
        };
        for (queue, expired) in
            [(intake.names.unrouted_queue(), false), (intake.names.expired_queue(), true)]
        {
            intake.consume(queue, Arc::new(Sorter::new(count, expired)));
        }
        Ok(intake)
    }

    pub(crate) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    pub(crate) fn subscribe(&self, shard: Shard) {
        let mut shards = runtime::lock(&self.shards);
        shards.entry(shard).or_insert_with(|| {
            Flow::ALL.map(|flow| {
                let queue = self.names.command_queue(flow, shard, self.count);
                self.consume(queue, Arc::clone(&self.execute))
            })
        });
    }

    pub(crate) async fn unsubscribe(&self, shard: Shard, grace: Duration) -> bool {
        let removed = runtime::lock(&self.shards).remove(&shard);
        let Some(subscriptions) = removed else { return true };
        // Dropped, this closes the channels at once.
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
        self.outlet.reply(command, event);
    }

    fn consume(&self, queue: String, execute: Arc<dyn Execute>) -> Subscription {
        let stop = self.stage.stopping().child_token();
        let kill = CancellationToken::new();
        let (finished, ended) = oneshot::channel();
        let consumption = Consumption {
            stage: self.stage.clone(),
            queue,
            execute,
            links: self.links.clone(),
            outlet: self.outlet.clone(),
            names: self.names.clone(),
            prefetch: self.prefetch,
            timeout: self.timeout,
            stop: stop.clone(),
            kill: kill.clone(),
        };
        let consumed = self.consumers.track_future(consumption.run());
        self.stage.spawn("consumer", OnFailure::Stop, async move {
            // Nobody waits for it unless the shard is unsubscribed.
            finished.send(consumed.await).ok();
            Ok(())
        });
        Subscription { stop, kill, ended }
    }
}

/// Fires when the stage stops and no consumer is left: the last of them still have answers to send.
fn after(stage: &Stage, consumers: &TaskTracker) -> CancellationToken {
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

/// Says whether there is a connection, without showing it.
fn follow(stage: &Stage, mut links: Links) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    stage.spawn("broker state", OnFailure::Log, async move {
        while let Some(up) = links.changed().await {
            sender.send_replace(up);
        }
        Ok(())
    });
    receiver
}
