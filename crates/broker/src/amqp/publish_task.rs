//! The task behind [`AmqpPublisher`](crate::amqp::publisher::AmqpPublisher).

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use lapin::options::{BasicConsumeOptions, ConfirmSelectOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer};
use runtime::CancellationToken;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use crate::amqp::connection::ConnectionWatch;
use crate::amqp::publication::{Publication, PublishJob, PublishResult, publish_batch};
use crate::amqp::timing::reconnect_backoff;
use crate::amqp::timing::within;
use crate::error::{Error, PublishError};
use crate::pending_replies::PendingReplies;
use crate::reply_queues::DIRECT_REPLY_TO;

/// Jobs, or replies, that are taken from their queue together.
const CHUNK: usize = 256;
/// Messages that are sent together; they have to be confirmed within the timeout.
const BATCH: usize = 2000;

/// What there is to publish.
pub(crate) struct PublishQueues {
    pub(crate) jobs: mpsc::Receiver<PublishJob>,
    pub(crate) replies: mpsc::Receiver<Publication>,
}

/// Publishes on the current connection.
pub(crate) struct PublishTask {
    pub(crate) connection: ConnectionWatch,
    pub(crate) pending_replies: PendingReplies,
    pub(crate) timeout: Duration,
    pub(crate) stop: CancellationToken,
}

impl PublishTask {
    /// Publishes until `stop`, or until nobody is left to publish for.
    pub(crate) async fn run(mut self, mut queues: PublishQueues) -> anyhow::Result<()> {
        let mut backoff = reconnect_backoff();
        loop {
            let connected = self.stop.run_until_cancelled(self.connection.current());
            let Some(Some(connection)) = connected.await else { return Ok(()) };
            let (mut watch, since) = (self.connection.clone(), Instant::now());
            let served = tokio::select! {
                served = self.serve(&connection, &mut queues) => served,
                () = watch.replaced(&connection) => Err(Error::Replaced),
            };
            let Err(error) = served else { return Ok(()) };
            if connection.status().connected() && !matches!(error, Error::Replaced) {
                let error = runtime::error_chain(&error);
                warn!(error, "publishing channel lost; reopening it");
                self.connection.request_redeclare();
            }
            drop(connection);
            backoff.reset_if_stable(since);
            self.stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await;
        }
    }

    /// Publishes on this connection; `Ok` after `stop`, or when nobody is left to publish for.
    async fn serve(
        &self,
        connection: &Connection,
        queues: &mut PublishQueues,
    ) -> Result<(), Error> {
        let (confirming, replies) = self.open_confirming(connection).await?;
        let unconfirmed = self.open(connection).await?;
        let busy = AtomicBool::new(false);
        let mut publishing = pin!(self.publish_jobs(&confirming, &mut queues.jobs, &busy));
        tokio::select! {
            published = &mut publishing => published,
            sent = self.send_replies(&unconfirmed, &mut queues.replies) => sent,
            error = self.receive_replies(replies) => {
                // Replies share their channel with what is published: that has ended too, and its
                // caller is to learn why.
                poll_fn(|context| match publishing.as_mut().poll(context) {
                    Poll::Pending if busy.load(Ordering::Relaxed) => Poll::Pending,
                    _ => Poll::Ready(()),
                })
                .await;
                Err(error)
            }
        }
    }

    async fn open(&self, connection: &Connection) -> Result<Channel, Error> {
        within(self.timeout, "opening a channel", connection.create_channel()).await
    }

    /// Direct reply-to requires the consumer on the very channel that publishes.
    async fn open_confirming(&self, connection: &Connection) -> Result<(Channel, Consumer), Error> {
        let channel = self.open(connection).await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        within(self.timeout, "asking for confirms", confirming).await?;
        let consuming = channel.basic_consume(
            DIRECT_REPLY_TO.into(),
            ShortString::default(),
            BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() },
            FieldTable::default(),
        );
        let replies = within(self.timeout, "consuming replies", consuming).await?;
        Ok((channel, replies))
    }

    /// Receives the replies to this process's own calls.
    async fn receive_replies(&self, mut replies: Consumer) -> Error {
        while let Some(reply) = replies.next().await {
            match reply {
                Ok(reply) => {
                    if let Some(id) = reply.properties.message_id() {
                        self.pending_replies.complete(id.as_str(), &Bytes::from(reply.data));
                    }
                }
                Err(error) => {
                    return Error::Failed { step: "receiving a reply", source: error.into() };
                }
            }
        }
        Error::ConsumerEnded
    }

    /// Sends the replies to others' calls; `Ok` after `stop`, when all are sent.
    async fn send_replies(
        &self,
        channel: &Channel,
        replies: &mut mpsc::Receiver<Publication>,
    ) -> Result<(), Error> {
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            tokio::select! {
                count = replies.recv_many(&mut chunk, CHUNK) => if count == 0 {
                    return Ok(());
                },
                () = self.stop.cancelled(), if !replies.is_closed() => replies.close(),
            }
            let sent = try_join_all(chunk.iter().map(|reply| reply.publish(channel, false)));
            within(self.timeout, "sending replies", sent).await?;
            chunk.clear();
        }
    }

    async fn publish_jobs(
        &self,
        channel: &Channel,
        jobs: &mut mpsc::Receiver<PublishJob>,
        busy: &AtomicBool,
    ) -> Result<(), Error> {
        let mut chunk = Vec::with_capacity(CHUNK);
        while jobs.recv_many(&mut chunk, CHUNK).await != 0 {
            busy.store(true, Ordering::Relaxed);
            let taken: Vec<_> = chunk
                .drain(..)
                .filter_map(|PublishJob { publications, done }| Some((publications.take()?, done)))
                .collect();
            let publications = taken.iter().flat_map(|(publications, _)| publications);
            let results = self.publish_all(channel, &publications.collect::<Vec<_>>()).await;
            if results.contains(&Err(PublishError::Unroutable)) {
                self.connection.request_redeclare();
            }
            let lost = results.contains(&Err(PublishError::Unconfirmed));
            let mut results = results.into_iter();
            for (publications, done) in taken {
                // A caller that has given up needs no results.
                done.send(results.by_ref().take(publications.len()).collect()).ok();
            }
            if lost {
                return Err(Error::NotConfirmed);
            }
            busy.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Publishes batch after batch; nothing more is sent after a batch that was not confirmed.
    async fn publish_all(
        &self,
        channel: &Channel,
        publications: &[&Publication],
    ) -> Vec<PublishResult> {
        let mut results = Vec::with_capacity(publications.len());
        for batch in publications.chunks(BATCH) {
            results.extend(publish_batch(channel, batch, self.timeout).await);
            if results.contains(&Err(PublishError::Unconfirmed)) {
                break;
            }
        }
        results.resize(publications.len(), Err(PublishError::Unavailable));
        results
    }
}
