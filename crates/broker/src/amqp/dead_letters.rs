//! The operator's access to the dead letters.

use std::time::Duration;

use bytes::Bytes;
use contracts::Names;
use futures_util::future::try_join_all;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueuePurgeOptions,
};
use lapin::protocol::AMQPSoftError;
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};
use runtime::MacKey;
use settings::BrokerSettings;
use tokio::time::Instant;

use crate::amqp::connection;
use crate::amqp::dead_letter::{DeadLetter, DeadLetterSelector, TakenLetter};
use crate::amqp::publication::{Publication, publish_batch};
use crate::amqp::signature::MessageSigner;
use crate::amqp::timing::within;
use crate::error::Error;
use crate::message::Message;

/// Dead letters that are published again together.
const BATCH: usize = 64;
/// Longest wait until returned letters are in the queue again, and pause between checks.
const RETURNED_WITHIN: Duration = Duration::from_secs(2);
const CHECK_EVERY: Duration = Duration::from_millis(5);
/// Letters that are returned together. A quorum queue keeps 32 in order.
const RETURN_BATCH: usize = 16;
/// Letters that are acknowledged together. A channel holds back what it sends to a quorum queue while
/// 32 commands are under way, and loses it if it is closed then.
const ACK_BATCH: usize = 16;

/// Messages that nobody could process: lists, shows, republishes and deletes them.
///
/// Reading takes letters out of the queue without acknowledging them and returns them at its end, in
/// order; another reader at the same time sees only the rest.
pub struct DeadLetters {
    names: Names,
    /// Tells who wrote a letter, and signs what is published again.
    signer: Option<MessageSigner>,
    timeout: Duration,
    connection: Connection,
}

/// What became of the selected dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedriveCount {
    /// Published again.
    pub republished: u64,
    /// Left: they have no body, or no worker has written them and none was named by its id.
    pub left: u64,
}

impl DeadLetters {
    /// Connects, for one operator's command; it does not reconnect. Without the workers' `key`
    /// nothing can be published again.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`], and those of connecting.
    pub async fn connect(
        settings: &BrokerSettings,
        names: Names,
        key: Option<MacKey>,
    ) -> Result<Self, Error> {
        let connection = connection::connect(settings).await?;
        let signer = key.map(MessageSigner::new);
        Ok(Self { names, signer, timeout: settings.timeout(), connection })
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
        self.return_letters(&channel, &(1..=last).collect::<Vec<_>>(), count).await?;
        Ok((letters, count))
    }

    /// The letters of an id with their bodies, which may hold secrets; at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], and those of any step.
    pub async fn show(
        &self,
        selector: &DeadLetterSelector,
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
            if selector.matches(&taken.letter) {
                found.push((taken.letter, taken.message.body));
            }
        }
        self.return_letters(&channel, &(1..=last).collect::<Vec<_>>(), count).await?;
        Ok(found)
    }

    /// Publishes letters again, each under its routing key and its caller's name, and removes them
    /// from the dead letters once RabbitMQ has confirmed them.
    ///
    /// Body and ids stay the same: a command that was answered before is not run again, and one whose
    /// deadline has passed is answered `expired`. A letter that still cannot be processed returns
    /// under another id and is not sent twice. A letter without its body stays, and so
    /// does one that no worker has written, unless it is selected by its id.
    ///
    /// # Errors
    ///
    /// [`Error::NoKey`], [`Error::NoQueue`], [`Error::NotConfirmed`] for a letter that was not
    /// confirmed (it stays, and may be on its queue as well), and those of any step.
    pub async fn redrive(&self, selector: &DeadLetterSelector) -> Result<RedriveCount, Error> {
        let signer = self.signer.as_ref().ok_or(Error::NoKey)?;
        let (channel, count) = self.open().await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        within(self.timeout, "asking for confirms", confirming).await?;
        let (mut kept, mut seen, mut done) = (Vec::new(), 0, RedriveCount::default());
        while seen < count {
            let before = seen;
            let mut batch = Vec::new();
            while seen < count
                && batch.len() < BATCH
                && let Some(taken) = self.take(&channel, seen + 1).await?
            {
                seen += 1;
                if !selector.matches(&taken.letter) {
                    kept.push(taken.tag);
                } else if selector.may_redrive(&taken.letter) {
                    batch.push((taken.tag, self.republication(taken, signer)));
                } else {
                    kept.push(taken.tag);
                    done.left += 1;
                }
            }
            let (tags, publications): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            self.publish(&channel, &publications).await?;
            self.acknowledge(&channel, &tags).await?;
            done.republished += tags.len() as u64;
            if seen == before {
                break;
            }
        }
        self.return_letters(&channel, &kept, count - done.republished).await?;
        Ok(done)
    }

    /// Deletes letters permanently; how many.
    ///
    /// # Errors
    ///
    /// [`Error::NoQueue`], and those of any step.
    pub async fn purge(&self, selector: &DeadLetterSelector) -> Result<u64, Error> {
        let (channel, count) = self.open().await?;
        if *selector == DeadLetterSelector::All {
            let purged = channel.queue_purge(self.queue(), QueuePurgeOptions::default());
            return within(self.timeout, "purging", purged).await.map(u64::from);
        }
        let (mut kept, mut selected, mut last) = (Vec::new(), Vec::new(), 0);
        while last < count
            && let Some(taken) = self.take(&channel, last + 1).await?
        {
            last = taken.tag;
            let tags = if selector.matches(&taken.letter) { &mut selected } else { &mut kept };
            tags.push(last);
        }
        self.acknowledge(&channel, &selected).await?;
        let done = selected.len() as u64;
        self.return_letters(&channel, &kept, count - done).await?;
        Ok(done)
    }

    fn queue(&self) -> ShortString {
        self.names.dead_letter_queue().into()
    }

    /// A new channel, and how many letters there are.
    async fn open(&self) -> Result<(Channel, u64), Error> {
        let channel =
            within(self.timeout, "opening a channel", self.connection.create_channel()).await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let found = channel.queue_declare(self.queue(), options, FieldTable::default());
        let found = within(self.timeout, "looking up the dead letters", found).await;
        let found = found.map_err(|error| match error {
            Error::Failed { source, .. } if source.is(&AMQPSoftError::NOTFOUND) => {
                Error::NoQueue { name: self.names.dead_letter_queue(), source }
            }
            error => error,
        })?;
        Ok((channel, found.message_count().into()))
    }

    /// The next letter, if there is one.
    async fn take(&self, channel: &Channel, position: u64) -> Result<Option<TakenLetter>, Error> {
        let got = channel.basic_get(self.queue(), BasicGetOptions::default());
        let Some(got) = within(self.timeout, "reading a dead letter", got).await? else {
            return Ok(None);
        };
        Ok(Some(TakenLetter::read(got.delivery, position, self.signer.as_ref())))
    }

    /// Returns letters in order, and closes the channel when all `left` are in the queue again.
    ///
    /// RabbitMQ changes the order of letters that are returned faster than the queue accepts them, or
    /// by closing the channel.
    async fn return_letters(
        &self,
        channel: &Channel,
        tags: &[u64],
        left: u64,
    ) -> Result<(), Error> {
        let mut expected = left.saturating_sub(tags.len() as u64);
        // Another reader may hold or have removed some: then the wait times out once, and is not
        // repeated.
        let mut alone = true;
        for batch in tags.chunks(RETURN_BATCH) {
            let back = batch.iter().map(|tag| {
                let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                channel.basic_nack(*tag, options)
            });
            within(self.timeout, "returning dead letters", try_join_all(back)).await?;
            expected += batch.len() as u64;
            alone = alone && self.wait_for(expected).await?;
        }
        within(self.timeout, "closing a channel", channel.close(200, "OK".into())).await
    }

    /// Waits until the queue has this many letters; `false` if it does not in time.
    async fn wait_for(&self, letters: u64) -> Result<bool, Error> {
        let until = Instant::now() + RETURNED_WITHIN;
        while self.open().await?.1 < letters {
            if until < Instant::now() {
                return Ok(false);
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
        Ok(true)
    }

    /// The letter as a new command, without the marks of its first delivery.
    fn republication(&self, taken: TakenLetter, signer: &MessageSigner) -> Publication {
        let message = Message { expired: false, forwarded: false, ..taken.message };
        signer.republication(self.names.commands_exchange().into(), message)
    }

    async fn publish(&self, channel: &Channel, letters: &[Publication]) -> Result<(), Error> {
        let letters: Vec<_> = letters.iter().collect();
        let results = publish_batch(channel, &letters, self.timeout).await;
        results.into_iter().collect::<Result<_, _>>().map_err(|_| Error::NotConfirmed)
    }

    async fn acknowledge(&self, channel: &Channel, tags: &[u64]) -> Result<(), Error> {
        for batch in tags.chunks(ACK_BATCH) {
            let ack = |tag: &u64| channel.basic_ack(*tag, BasicAckOptions::default());
            let acknowledged = try_join_all(batch.iter().map(ack));
            within(self.timeout, "an acknowledgement", acknowledged).await?;
            // Answered when the queue has applied what the channel sent to it before.
            if let Some(extra) = self.take(channel, 0).await? {
                let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                let returned = channel.basic_nack(extra.tag, options);
                within(self.timeout, "returning a dead letter", returned).await?;
            }
        }
        Ok(())
    }
}
