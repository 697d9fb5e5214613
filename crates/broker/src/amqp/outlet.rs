//! The publishing connection.
//!
//! It is never the one that consumes: under a memory or disk alarm RabbitMQ stops reading from
//! whoever publishes, and acknowledgements must not be caught behind that.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use contracts::Properties;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, PublisherConfirm};
use runtime::{CancellationToken, OnFailure, Stage};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::amqp::link::Keeper;
use crate::amqp::press::{Press, Work};
use crate::amqp::wire;
use crate::calls::Calls;
use crate::error::PublishError;

/// Jobs that wait for the connection; further callers wait before them.
const QUEUE: usize = 1024;
/// Answers that wait to be sent; further ones are let go.
const ANSWERS: usize = 4096;

pub(crate) type Outcome = Result<(), PublishError>;

/// One message to be published.
pub(crate) struct Post {
    pub(crate) exchange: ShortString,
    pub(crate) key: ShortString,
    pub(crate) body: Bytes,
    pub(crate) properties: BasicProperties,
}

/// What one caller wants published, in order.
pub(crate) struct Job {
    /// Whoever takes them out decides: the press publishes them, or the caller gives up and knows
    /// that nothing was sent.
    posts: Arc<Mutex<Option<Vec<Post>>>>,
    pub(crate) done: oneshot::Sender<Vec<Outcome>>,
}

impl Job {
    /// The messages, unless the caller has given up.
    pub(crate) fn take(&self) -> Option<Vec<Post>> {
        take(&self.posts)
    }
}

fn take(posts: &Mutex<Option<Vec<Post>>>) -> Option<Vec<Post>> {
    runtime::lock(posts).take()
}

/// A caller's hold on its job: when the caller is gone, nothing more of it is sent.
struct Claim(Arc<Mutex<Option<Vec<Post>>>>);

impl Drop for Claim {
    fn drop(&mut self) {
        take(&self.0);
    }
}

/// Publishes by one connection, for all callers.
#[derive(Clone)]
pub(crate) struct Outlet {
    jobs: mpsc::Sender<Job>,
    answers: mpsc::Sender<Post>,
    calls: Calls,
    timeout: Duration,
}

impl Outlet {
    /// Publishes inside `stage` until `stop`.
    pub(crate) fn start(
        stage: &Stage,
        keeper: Keeper,
        timeout: Duration,
        stop: CancellationToken,
    ) -> Self {
        let (sender, jobs) = mpsc::channel(QUEUE);
        let (answers_sender, answers) = mpsc::channel(ANSWERS);
        let calls = Calls::default();
        let press =
            Press { links: keeper.links(), calls: calls.clone(), timeout, stop: stop.clone() };
        stage.spawn("publisher connection", OnFailure::Stop, keeper.keep(stop));
        stage.spawn("publisher", OnFailure::Stop, press.run(Work { jobs, answers }));
        Self { jobs: sender, answers: answers_sender, calls, timeout }
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Sends the answer to whoever asked for one, without waiting and without a confirm: the event is in the log, and a
    /// caller that is gone, or a queue that answers nothing, must not hold anything up.
    pub(crate) fn reply(&self, command: &Properties, event: Bytes) {
        let Some(queue) = command.reply_to.as_deref().and_then(wire::short) else { return };
        let properties = wire::reply_properties(command);
        let post = Post { exchange: ShortString::default(), key: queue, body: event, properties };
        if self.answers.try_send(post).is_err() {
            debug!("an answer was let go, too many are waiting to be sent");
        }
    }

    /// Publishes; the outcomes in order. What finds no connection in time is not sent at all.
    pub(crate) async fn publish(&self, posts: Vec<Post>) -> Vec<Outcome> {
        let count = posts.len();
        if count == 0 {
            return Vec::new();
        }
        let all = |error| vec![Err(error); count];
        let posts = Arc::new(Mutex::new(Some(posts)));
        let claim = Claim(Arc::clone(&posts));
        let (done, mut outcomes) = oneshot::channel();
        let job = Job { posts, done };
        let in_time = tokio::time::timeout(self.timeout, async {
            self.jobs.send(job).await.ok()?;
            (&mut outcomes).await.ok()
        });
        match in_time.await {
            Ok(Some(outcomes)) => outcomes,
            _ if take(&claim.0).is_some() => all(PublishError::Unavailable),
            Ok(None) => all(PublishError::Unconfirmed),
            // They are being published, which has a limit of its own.
            Err(_) => outcomes.await.unwrap_or_else(|_| all(PublishError::Unconfirmed)),
        }
    }
}

impl Post {
    /// Starts to publish it, at the first poll.
    pub(crate) fn publish(
        &self,
        channel: &Channel,
        mandatory: bool,
    ) -> impl Future<Output = lapin::Result<PublisherConfirm>> {
        let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
        let (exchange, key) = (self.exchange.clone(), self.key.clone());
        channel.basic_publish(exchange, key, options, &self.body, self.properties.clone())
    }
}
