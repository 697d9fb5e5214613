//! Settling: what one channel publishes and acknowledges for its deliveries.

use std::collections::BTreeSet;
use std::time::Duration;

use contracts::{Names, Shard};
use futures_util::future::try_join_all;
use lapin::Channel;
use lapin::options::BasicAckOptions;
use runtime::CancellationToken;
use tokio::sync::mpsc;
use tracing::warn;

use crate::amqp::ack_tracker::AckTracker;
use crate::amqp::dead_letter::dead_letter;
use crate::amqp::publication::Publication;
use crate::amqp::publisher::AmqpPublisher;
use crate::amqp::signature::MessageSigner;
use crate::amqp::timing::within;
use crate::amqp::topology::Topology;
use crate::error::Error;
use crate::message::Message;
use crate::settlement::{Disposition, SettleAction, SettleRequest};

/// Settles the deliveries of one channel, in batches of whatever is ready.
pub(crate) struct ChannelSettler<'a> {
    /// The channel of the deliveries.
    pub(crate) channel: &'a Channel,
    pub(crate) publisher: &'a AmqpPublisher,
    pub(crate) signer: &'a MessageSigner,
    pub(crate) names: &'a Names,
    pub(crate) topology: &'a Topology,
    pub(crate) prefetch: u16,
    pub(crate) timeout: Duration,
    pub(crate) stop: CancellationToken,
}

impl ChannelSettler<'_> {
    /// Settles until no ticket is left; whether everything was settled.
    ///
    /// # Errors
    ///
    /// The channel cannot be used any more: everything unacknowledged is redelivered.
    pub(crate) async fn run(
        &self,
        mut requests: mpsc::UnboundedReceiver<SettleRequest>,
    ) -> Result<bool, Error> {
        let limit = usize::from(self.prefetch);
        let mut tracker = AckTracker::new(self.prefetch);
        let mut batch = Vec::with_capacity(limit);
        let mut abandoned = 0;
        while requests.recv_many(&mut batch, limit).await != 0 {
            let (mut publications, mut missing) = (Vec::new(), BTreeSet::new());
            for SettleRequest { tag, message, disposition } in batch.drain(..) {
                match disposition {
                    Disposition::NoLease => return Err(Error::NoLease),
                    Disposition::Abandoned => {
                        abandoned += 1;
                        self.report_abandoned(&message);
                    }
                    disposition => {
                        let action = disposition.into_action(message);
                        if let Some(SettleAction::Reroute { key, .. }) = &action {
                            missing.insert((key.shard, key.flow.as_str()));
                        }
                        publications.extend(self.settle(action));
                        tracker.settled(tag);
                    }
                }
            }
            self.declare_routes(missing).await?;
            let published = self.publisher.publish(publications).await;
            if !published.iter().all(Result::is_ok) {
                return Err(Error::NotConfirmed);
            }
            self.acknowledge(&mut tracker).await?;
            if limit <= abandoned * 2 && !self.stop.is_cancelled() {
                return Err(Error::Abandoned { count: abandoned });
            }
        }
        Ok(abandoned == 0)
    }

    fn report_abandoned(&self, message: &Message) {
        if !self.stop.is_cancelled() {
            let id = message.properties.message_id.as_deref();
            warn!(command.id = id, "delivery was not settled; it will be redelivered");
        }
    }

    /// Sends the reply; returns what has to be on a queue before the delivery is acknowledged.
    fn settle(&self, action: Option<SettleAction>) -> Option<Publication> {
        match action? {
            SettleAction::Acknowledge => None,
            SettleAction::Reply { command, event } => {
                self.publisher.reply(&command, event);
                None
            }
            SettleAction::DeadLetter { message, reason, reply } => {
                self.publisher.reply(&message.properties, reply);
                warn!(reason, bytes = message.body.len(), "message dead-lettered");
                let queue = self.names.dead_letter_queue().into();
                Some(dead_letter(message, &reason, queue, self.signer))
            }
            SettleAction::Republish(message) | SettleAction::Reroute { message, .. } => {
                Some(self.signer.republication(self.names.commands_exchange().into(), message))
            }
        }
    }

    /// Declares the queues and bindings of commands that RabbitMQ did not route.
    async fn declare_routes(&self, missing: BTreeSet<(Shard, &str)>) -> Result<(), Error> {
        for (shard, flow) in missing {
            warn!(%shard, flow, "commands were not routed to their queue; declaring it again");
            if let Ok(flow) = flow.parse() {
                self.topology.declare_route(self.channel, flow, shard).await?;
            }
        }
        Ok(())
    }

    async fn acknowledge(&self, tracker: &mut AckTracker) -> Result<(), Error> {
        let acks = tracker.take();
        let ack = |tag, multiple| self.channel.basic_ack(tag, BasicAckOptions { multiple });
        let sent = async {
            if let Some(tag) = acks.up_to {
                ack(tag, true).await?;
            }
            try_join_all(acks.single.iter().map(|tag| ack(*tag, false))).await
        };
        within(self.timeout, "an acknowledgement", sent).await.map(drop)
    }
}
