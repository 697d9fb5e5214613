//! The publishing connection.
//!
//! It is never the consuming one: under a memory or disk alarm RabbitMQ stops reading from
//! publishing connections, and acknowledgements must not be stuck behind that.

use std::time::Duration;

use bytes::Bytes;
use contracts::Properties;
use lapin::types::ShortString;
use runtime::{CancellationToken, OnFailure, Stage};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::amqp::codec;
use crate::amqp::connection::ConnectionManager;
use crate::amqp::publication::{Publication, PublishJob, PublishResult};
use crate::amqp::publish_task::{PublishQueues, PublishTask};
use crate::amqp::withdrawable::Withdrawable;
use crate::error::PublishError;
use crate::pending_replies::PendingReplies;
use crate::reply_queues::ReplyQueues;

/// Jobs that wait for the publish task; further callers wait for a place.
const MAX_JOBS: usize = 1024;
/// Replies that wait to be sent; further ones are dropped.
const MAX_REPLIES: usize = 4096;

/// Publishes on one connection, for all callers.
#[derive(Clone)]
pub(crate) struct AmqpPublisher {
    jobs: mpsc::Sender<PublishJob>,
    replies: mpsc::Sender<Publication>,
    reply_queues: ReplyQueues,
    pending_replies: PendingReplies,
    timeout: Duration,
}

impl AmqpPublisher {
    /// Publishes inside `stage` until `stop`.
    pub(crate) fn start(
        stage: &Stage,
        manager: ConnectionManager,
        reply_queues: ReplyQueues,
        timeout: Duration,
        stop: CancellationToken,
    ) -> Self {
        let (jobs_sender, jobs) = mpsc::channel(MAX_JOBS);
        let (replies_sender, replies) = mpsc::channel(MAX_REPLIES);
        let pending_replies = PendingReplies::default();
        let task = PublishTask {
            connection: manager.watch(),
            pending_replies: pending_replies.clone(),
            timeout,
            stop: stop.clone(),
        };
        stage.spawn("publisher connection", OnFailure::Stop, manager.run(stop));
        stage.spawn("publisher", OnFailure::Stop, task.run(PublishQueues { jobs, replies }));
        Self { jobs: jobs_sender, replies: replies_sender, reply_queues, pending_replies, timeout }
    }

    pub(crate) fn pending_replies(&self) -> &PendingReplies {
        &self.pending_replies
    }

    /// Sends the answer to `reply_to`, if the command has one, without waiting and without a confirm:
    /// the event is in the log, and a caller that has given up or a queue that does not answer must not
    /// block anything. Nothing is sent to a queue that a `reply_to` must not name.
    pub(crate) fn reply(&self, command: &Properties, event: Bytes) {
        let reply_to = command.reply_to.as_deref();
        let allowed = reply_to.filter(|queue| self.reply_queues.allows(queue));
        let Some(key) = allowed.and_then(codec::short_string) else { return };
        let (exchange, properties) = (ShortString::default(), codec::reply_properties(command));
        let reply = Publication { exchange, key, body: event, properties };
        if self.replies.try_send(reply).is_err() {
            debug!("reply dropped: too many are waiting to be sent");
        }
    }

    /// Publishes; the results in order. Nothing is sent if there is no connection in time.
    pub(crate) async fn publish(&self, publications: Vec<Publication>) -> Vec<PublishResult> {
        self.publish_within(publications, self.timeout).await
    }

    /// The same for a caller with less patience.
    pub(crate) async fn publish_within(
        &self,
        publications: Vec<Publication>,
        patience: Duration,
    ) -> Vec<PublishResult> {
        let count = publications.len();
        if count == 0 {
            return Vec::new();
        }
        let all = |error| vec![Err(error); count];
        let (publications, withdrawal) = Withdrawable::new(publications);
        let (done, mut results) = oneshot::channel();
        let job = PublishJob { publications, done };
        let in_time = tokio::time::timeout(self.timeout.min(patience), async {
            self.jobs.send(job).await.ok()?;
            (&mut results).await.ok()
        });
        match in_time.await {
            Ok(Some(results)) => results,
            _ if withdrawal.withdraw() => all(PublishError::Unavailable),
            Ok(None) => all(PublishError::Unconfirmed),
            // They are being published, which has its own time limit.
            Err(_) => results.await.unwrap_or_else(|_| all(PublishError::Unconfirmed)),
        }
    }
}
