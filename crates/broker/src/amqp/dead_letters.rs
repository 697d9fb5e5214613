//! The operator's side of the dead letters.

use std::time::Duration;

use bytes::Bytes;
use contracts::Names;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::protocol::AMQPSoftError;
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};
use settings::BrokerSettings;
use tokio::time::Instant;

use crate::amqp::letter::{DeadLetter, Taken, Which, read};
use crate::amqp::outlet::Post;
use crate::amqp::{link, press, topology, wire, within};
use crate::error::Error;
use crate::message::Message;

/// Letters that are published together on their way back.
const BATCH: u16 = 64;
/// Longest wait for letters that were put back to be in the queue again, and pause between looks.
const SETTLING: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);
/// Letters that are put back together. A quorum queue takes 32 in order.
const STEP: usize = 16;

/// Messages that nobody could carry out, as they rest in RabbitMQ: to be looked at, published once
/// more, or thrown away.
///
/// A look takes letters out of the queue without acknowledging them and puts them back at its end,
/// in order; somebody else who looks at the same time sees only the rest.
pub struct DeadLetters {
    names: Names,
    timeout: Duration,
    connection: Connection,
}

impl DeadLetters {
    /// Connects, for one operator's command; it does not connect again by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`], and those of connecting.
    pub async fn connect(settings: &BrokerSettings, names: Names) -> Result<Self, Error> {
        let connection = link::connect(settings).await?;
        Ok(Self { names, timeout: settings.timeout(), connection })
    }

    /// The first `limit` letters, oldest first, and how many there are.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], and those of any step.
    pub async fn list(&self, limit: u64) -> Result<(Vec<DeadLetter>, u64), Error> {
        let (channel, count) = self.open().await?;
        let mut letters = Vec::new();
        let mut last = 0;
        while last < limit.min(count)
            && let Some(taken) = self.take(&channel, last + 1).await?
        {
            last = taken.tag;
            letters.push(taken.letter);
        }
        self.put_back(&channel, &(1..=last).collect::<Vec<_>>(), count).await?;
        Ok((letters, count))
    }

    /// The letters of an id with their bodies, which may hold secrets; at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], and those of any step.
    pub async fn show(
        &self,
        which: &Which,
        limit: usize,
    ) -> Result<Vec<(DeadLetter, Bytes)>, Error> {
        let (channel, count) = self.open().await?;
        let mut found = Vec::new();
        let mut last = 0;
        while last < count
            && found.len() < limit
            && let Some(taken) = self.take(&channel, last + 1).await?
        {
            last = taken.tag;
            if taken.letter.is(which) {
                found.push((taken.letter, taken.message.body));
            }
        }
        self.put_back(&channel, &(1..=last).collect::<Vec<_>>(), count).await?;
        Ok(found)
    }

    /// Publishes letters once more, each under the routing key it had, and takes them out of the
    /// dead letters as RabbitMQ has confirmed them; how many.
    ///
    /// Body and ids are the same: a command that was answered before is not run again, and one whose
    /// deadline is over is answered `expired`. A letter that nobody can carry out comes back, under
    /// another id, and is not sent twice. One that has lost its routing key goes by its body.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], [`Error::NotTaken`] where a letter was not confirmed (it stays, and may be
    /// on its queue as well), and those of any step.
    pub async fn redrive(&self, which: &Which) -> Result<u64, Error> {
        let (channel, count) = self.open().await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        within(self.timeout, "asking for confirms", confirming).await?;
        match which {
            Which::All => self.redrive_all(&channel, count).await,
            Which::Id(_) => self.redrive_some(&channel, count, which).await,
        }
    }

    /// By a consumer, which takes one acknowledgement for many.
    async fn redrive_all(&self, channel: &Channel, count: u64) -> Result<u64, Error> {
        let limited = channel.basic_qos(BATCH, BasicQosOptions::default());
        within(self.timeout, "setting the prefetch", limited).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming =
            channel.basic_consume(self.queue(), ShortString::default(), options, arguments);
        let mut letters = within(self.timeout, "consuming", consuming).await?;
        let mut done = 0;
        while done < count {
            let mut batch = Vec::new();
            let mut last = 0;
            let size = (count - done).min(BATCH.into());
            while (batch.len() as u64) < size
                && let Ok(Some(letter)) = tokio::time::timeout(SETTLING, letters.next()).await
            {
                let letter = letter.map_err(|error| Error::Failed {
                    step: "taking a dead letter",
                    source: error.into(),
                })?;
                last = letter.delivery_tag;
                batch.push(self.fresh(read(letter, 0)));
            }
            if batch.is_empty() {
                break;
            }
            self.publish(channel, &batch).await?;
            self.acknowledge(channel, last, true).await?;
            done += batch.len() as u64;
        }
        within(self.timeout, "closing a channel", channel.close(200, "OK".into())).await?;
        Ok(done)
    }

    async fn redrive_some(
        &self,
        channel: &Channel,
        count: u64,
        which: &Which,
    ) -> Result<u64, Error> {
        let (mut kept, mut last, mut done) = (Vec::new(), 0, 0);
        while last < count
            && let Some(taken) = self.take(channel, last + 1).await?
        {
            last = taken.tag;
            if taken.letter.is(which) {
                self.publish(channel, &[self.fresh(taken)]).await?;
                self.acknowledge(channel, last, false).await?;
                done += 1;
            } else {
                kept.push(last);
            }
        }
        self.put_back(channel, &kept, count - done).await?;
        Ok(done)
    }

    /// Throws letters away for good; how many.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], and those of any step.
    pub async fn purge(&self, which: &Which) -> Result<u64, Error> {
        let (channel, count) = self.open().await?;
        if *which == Which::All {
            let purged = channel.queue_purge(self.queue(), QueuePurgeOptions::default());
            return within(self.timeout, "purging", purged).await.map(u64::from);
        }
        let (mut kept, mut last, mut done) = (Vec::new(), 0, 0);
        while last < count
            && let Some(taken) = self.take(&channel, last + 1).await?
        {
            last = taken.tag;
            if taken.letter.is(which) {
                self.acknowledge(&channel, last, false).await?;
                done += 1;
            } else {
                kept.push(last);
            }
        }
        self.put_back(&channel, &kept, count - done).await?;
        Ok(done)
    }

    fn queue(&self) -> ShortString {
        self.names.dead_letter_queue().into()
    }

    /// A channel of its own, and how many letters there are.
    async fn open(&self) -> Result<(Channel, u64), Error> {
        let channel =
            within(self.timeout, "opening a channel", self.connection.create_channel()).await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let found = channel.queue_declare(self.queue(), options, FieldTable::default());
        let found = within(self.timeout, "looking for the dead letters", found).await;
        let found = found.map_err(|error| match error {
            Error::Failed { source, .. } if topology::is(&source, &AMQPSoftError::NOTFOUND) => {
                Error::NoQueue { name: self.names.dead_letter_queue(), source }
            }
            error => error,
        })?;
        Ok((channel, found.message_count().into()))
    }

    /// The next letter; `None` when there is no more.
    async fn take(&self, channel: &Channel, position: u64) -> Result<Option<Taken>, Error> {
        let got = channel.basic_get(self.queue(), BasicGetOptions::default());
        let Some(got) = within(self.timeout, "taking a dead letter", got).await? else {
            return Ok(None);
        };
        Ok(Some(read(got.delivery, position)))
    }

    /// Puts letters back, in order, and closes the channel when all `left` are in the queue again.
    ///
    /// RabbitMQ jumbles what is given back faster than its queue takes it, and what is left to the
    /// channel's end.
    async fn put_back(&self, channel: &Channel, tags: &[u64], left: u64) -> Result<(), Error> {
        let mut there = left.saturating_sub(tags.len() as u64);
        // Somebody else may hold or have taken some: then they are waited for once, and not again.
        let mut alone = true;
        for some in tags.chunks(STEP) {
            let back = some.iter().map(|tag| {
                let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                channel.basic_nack(*tag, options)
            });
            within(self.timeout, "putting dead letters back", try_join_all(back)).await?;
            there += some.len() as u64;
            alone = alone && self.has(there).await?;
        }
        within(self.timeout, "closing a channel", channel.close(200, "OK".into())).await
    }

    /// Waits until there are so many letters in the queue; `false` if there are not in time.
    async fn has(&self, letters: u64) -> Result<bool, Error> {
        let until = Instant::now() + SETTLING;
        while self.open().await?.1 < letters {
            if until < Instant::now() {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(true)
    }

    /// The letter's way to its shard, as though it had never been put aside.
    fn fresh(&self, taken: Taken) -> Post {
        let key = taken.letter.routing_key.unwrap_or_default();
        let message = Message { key, expired: false, forwarded: false, ..taken.message };
        wire::command(self.names.commands_exchange().into(), message)
    }

    async fn publish(&self, channel: &Channel, posts: &[Post]) -> Result<(), Error> {
        let posts: Vec<_> = posts.iter().collect();
        let outcomes = press::print(channel, &posts, self.timeout).await;
        outcomes.into_iter().collect::<Result<_, _>>().map_err(|_| Error::NotTaken)
    }

    async fn acknowledge(&self, channel: &Channel, tag: u64, multiple: bool) -> Result<(), Error> {
        let acknowledged = channel.basic_ack(tag, BasicAckOptions { multiple });
        within(self.timeout, "an acknowledgement", acknowledged).await
    }
}
