//! Settling: what one channel publishes and acknowledges for its deliveries.

use std::time::Duration;

use bytes::Bytes;
use contracts::{Names, Properties};
use futures_util::future::try_join_all;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use runtime::CancellationToken;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::amqp::window::Window;
use crate::amqp::{wire, within};
use crate::delivery::{How, Settled, Settlement};
use crate::error::Error;
use crate::message::Message;
use crate::refusal::refusal;

/// Settles the deliveries of one channel, in batches of whatever is ready.
pub(crate) struct Settler<'a> {
    pub(crate) connection: &'a Connection,
    /// The channel the deliveries came by; in confirm mode.
    pub(crate) channel: &'a Channel,
    pub(crate) names: &'a Names,
    pub(crate) prefetch: u16,
    pub(crate) timeout: Duration,
    pub(crate) stop: CancellationToken,
}

/// What must be on a queue before its cause may be acknowledged.
struct Post {
    exchange: ShortString,
    key: ShortString,
    body: Bytes,
    properties: BasicProperties,
}

/// An answer on its way to `reply_to`.
struct Reply {
    queue: ShortString,
    body: Bytes,
    properties: BasicProperties,
}

/// All that a batch publishes.
#[derive(Default)]
struct Outbox {
    posts: Vec<Post>,
    replies: Vec<Reply>,
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
        let mut replies = None;
        let mut abandoned = 0;
        while settled.recv_many(&mut batch, limit).await != 0 {
            let mut outbox = Outbox::default();
            for Settled { tag, message, how } in batch.drain(..) {
                if matches!(how, How::Abandoned) {
                    abandoned += 1;
                    self.report(&message);
                } else {
                    self.address(&mut outbox, message, how);
                    window.done(tag);
                }
            }
            self.reply(&mut replies, outbox.replies).await;
            self.post(&outbox.posts).await?;
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

    /// Puts what a settlement publishes into the outbox.
    fn address(&self, outbox: &mut Outbox, message: Message, how: How) {
        match how {
            How::Abandoned => {}
            How::Settled(Settlement::Answered { event }) => {
                outbox.reply(&message.properties, event);
            }
            How::Settled(Settlement::DeadLetter { reason, event }) => {
                self.bury(outbox, &message, &reason, event);
            }
            How::Settled(Settlement::Forward { .. }) if message.forwarded => {
                self.bury(outbox, &message, "it was forwarded before", None);
            }
            How::Settled(Settlement::Forward { key }) => {
                self.forward(outbox, Message { key: key.to_string(), forwarded: true, ..message });
            }
            How::Expired(key) => {
                self.forward(outbox, Message { key: key.to_string(), expired: true, ..message });
            }
        }
    }

    fn forward(&self, outbox: &mut Outbox, message: Message) {
        let Some(key) = wire::short(&message.key) else {
            return self.bury(outbox, &message, "its routing key is too long", None);
        };
        outbox.posts.push(Post {
            exchange: self.names.commands_exchange().into(),
            key,
            properties: wire::properties(&message),
            body: message.body,
        });
    }

    fn bury(&self, outbox: &mut Outbox, message: &Message, reason: &str, event: Option<Bytes>) {
        warn!(reason, bytes = message.body.len(), "a message goes to the dead letters");
        let mut properties = wire::properties(message);
        let mut headers = properties.headers().clone().unwrap_or_default();
        headers.insert(wire::REASON.into(), wire::header(reason));
        headers.insert(wire::ROUTING_KEY.into(), wire::header(&message.key));
        properties = properties.with_headers(headers);
        outbox.posts.push(Post {
            exchange: "".into(),
            key: self.names.dead_letter_queue().into(),
            body: message.body.clone(),
            properties,
        });
        let event = event.unwrap_or_else(|| refusal(message, reason));
        outbox.reply(&message.properties, event);
    }

    /// Publishes, and waits until RabbitMQ has taken everything over.
    async fn post(&self, posts: &[Post]) -> Result<(), Error> {
        if posts.is_empty() {
            return Ok(());
        }
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirmed = async {
            let published = posts.iter().map(|post| {
                let Post { exchange, key, body, properties } = post;
                let (exchange, key) = (exchange.clone(), key.clone());
                self.channel.basic_publish(exchange, key, mandatory, body, properties.clone())
            });
            try_join_all(try_join_all(published).await?).await
        };
        let confirmed = within(self.timeout, "a publish", confirmed).await?;
        let taken = |confirmation: &Confirmation| matches!(confirmation, Confirmation::Ack(None));
        if confirmed.iter().all(taken) { Ok(()) } else { Err(Error::NotTaken) }
    }

    /// Sends answers, on a channel of their own without confirms: the event is in the log, and a
    /// caller that is gone, or a queue that answers nothing, must not hold an acknowledgement up.
    async fn reply(&self, channel: &mut Option<Channel>, replies: Vec<Reply>) {
        if replies.is_empty() {
            return;
        }
        let count = replies.len();
        if let Err(error) = self.try_reply(channel, replies).await {
            debug!(count, error = runtime::chain(&error), "answers could not be sent");
        }
    }

    async fn try_reply(
        &self,
        channel: &mut Option<Channel>,
        replies: Vec<Reply>,
    ) -> Result<(), Error> {
        // Taken out and put back: after a failure there is none.
        let usable = channel.take().filter(|channel| channel.status().connected());
        let open = if let Some(usable) = usable {
            usable
        } else {
            let opened = self.connection.create_channel();
            within(self.timeout, "opening a channel", opened).await?
        };
        let options = BasicPublishOptions::default();
        let sent = replies.iter().map(|Reply { queue, body, properties }| {
            open.basic_publish("".into(), queue.clone(), options, body, properties.clone())
        });
        within(self.timeout, "a reply", try_join_all(sent)).await?;
        *channel = Some(open);
        Ok(())
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

impl Outbox {
    fn reply(&mut self, command: &Properties, event: Bytes) {
        if let Some(queue) = command.reply_to.as_deref().and_then(wire::short) {
            let properties = wire::reply_properties(command);
            self.replies.push(Reply { queue, body: event, properties });
        }
    }
}
