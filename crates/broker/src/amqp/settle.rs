//! Settling: what one channel publishes and acknowledges for its deliveries.

use std::time::Duration;

use bytes::Bytes;
use contracts::Names;
use futures_util::future::try_join_all;
use lapin::Channel;
use lapin::options::BasicAckOptions;
use lapin::types::ShortString;
use runtime::CancellationToken;
use tokio::sync::mpsc;
use tracing::warn;

use crate::amqp::outlet::{Outlet, Post};
use crate::amqp::window::Window;
use crate::amqp::{wire, within};
use crate::delivery::{How, Settled, Settlement};
use crate::error::Error;
use crate::message::Message;
use crate::refusal::refusal;

/// Settles the deliveries of one channel, in batches of whatever is ready.
pub(crate) struct Settler<'a> {
    /// The channel the deliveries came by.
    pub(crate) channel: &'a Channel,
    pub(crate) outlet: &'a Outlet,
    pub(crate) names: &'a Names,
    pub(crate) prefetch: u16,
    pub(crate) timeout: Duration,
    pub(crate) stop: CancellationToken,
}

impl Settler<'_> {
    /// Settles until no ticket is left; whether none was left unsettled.
    ///
    /// # Errors
    ///
    /// The channel cannot be used any more: everything not acknowledged comes again.
    pub(crate) async fn run(
        &self,
        mut settled: mpsc::UnboundedReceiver<Settled>,
    ) -> Result<bool, Error> {
        let limit = usize::from(self.prefetch);
        let mut window = Window::new(self.prefetch);
        let mut batch = Vec::with_capacity(limit);
        let mut abandoned = 0;
        while settled.recv_many(&mut batch, limit).await != 0 {
            let mut posts = Vec::new();
            for Settled { tag, message, how } in batch.drain(..) {
                match how {
                    How::Refused => return Err(Error::NoLease),
                    How::Abandoned => {
                        abandoned += 1;
                        self.report(&message);
                    }
                    how => {
                        self.publish(&mut posts, message, how);
                        window.done(tag);
                    }
                }
            }
            if !posts.is_empty() && !self.outlet.publish(posts).await.iter().all(Result::is_ok) {
                return Err(Error::NotTaken);
            }
            self.acknowledge(&mut window).await?;
            if limit <= abandoned * 2 && !self.stop.is_cancelled() {
                return Err(Error::Abandoned { count: abandoned });
            }
        }
        Ok(abandoned == 0)
    }

    fn report(&self, message: &Message) {
        if !self.stop.is_cancelled() {
            let id = message.properties.message_id.as_deref();
            warn!(command.id = id, "a delivery was left unsettled; it will come again");
        }
    }

    /// Sends the answer; what must be on a queue before the delivery is acknowledged goes to
    /// `posts`.
    fn publish(&self, posts: &mut Vec<Post>, message: Message, how: How) {
        match how {
            How::Abandoned | How::Refused | How::Settled(Settlement::Kept) => {}
            How::Settled(Settlement::Answered { event }) => self.answer(&message, event),
            How::Settled(Settlement::DeadLetter { reason, event }) => {
                posts.push(self.dead_letter(&message, &reason));
                self.answer(&message, event.unwrap_or_else(|| refusal(&message, &reason)));
            }
            How::Settled(Settlement::Forward { .. }) if message.forwarded => {
                let reason = "it was forwarded before";
                posts.push(self.dead_letter(&message, reason));
                self.answer(&message, refusal(&message, reason));
            }
            How::Settled(Settlement::Forward { key }) => {
                posts.push(self.command(Message {
                    key: key.to_string(),
                    forwarded: true,
                    ..message
                }));
            }
            How::Expired(key) => {
                posts.push(self.command(Message {
                    key: key.to_string(),
                    expired: true,
                    ..message
                }));
            }
        }
    }

    fn answer(&self, message: &Message, event: Bytes) {
        self.outlet.reply(&message.properties, event);
    }

    fn command(&self, message: Message) -> Post {
        wire::command(self.names.commands_exchange().into(), message)
    }

    fn dead_letter(&self, message: &Message, reason: &str) -> Post {
        warn!(reason, bytes = message.body.len(), "a message goes to the dead letters");
        Post {
            exchange: ShortString::default(),
            key: self.names.dead_letter_queue().into(),
            body: message.body.clone(),
            properties: wire::dead_letter_properties(message, reason),
        }
    }

    async fn acknowledge(&self, window: &mut Window) -> Result<(), Error> {
        let acks = window.take();
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
