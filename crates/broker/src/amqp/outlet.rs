//! The publishing connection.
//!
//! It is never the one that consumes: under a memory or disk alarm RabbitMQ stops reading from
//! whoever publishes, and acknowledgements must not be caught behind that.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, Consumer, PublisherConfirm};
use runtime::{CancellationToken, OnFailure, Stage};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use crate::amqp::link::{Keeper, Links};
use crate::amqp::{DIRECT_REPLY_TO, within};
use crate::backoff::Backoff;
use crate::calls::Calls;
use crate::error::{Error, PublishError};

/// Jobs that wait for the connection; further callers wait before them.
const QUEUE: usize = 1024;
/// Jobs that are published together.
const JOBS: usize = 256;
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
struct Job {
    /// Whoever takes them out decides: the press publishes them, or the caller gives up and knows
    /// that nothing was sent.
    posts: Arc<Mutex<Option<Vec<Post>>>>,
    done: oneshot::Sender<Vec<Outcome>>,
}

fn take(posts: &Mutex<Option<Vec<Post>>>) -> Option<Vec<Post>> {
    posts.lock().unwrap_or_else(PoisonError::into_inner).take()
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

    /// Sends an answer, without waiting and without a confirm: the event is in the log, and a
    /// caller that is gone, or a queue that answers nothing, must not hold anything up.
    pub(crate) fn answer(&self, post: Post) {
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
        let (done, mut outcomes) = oneshot::channel();
        let job = Job { posts: Arc::clone(&posts), done };
        let in_time = tokio::time::timeout(self.timeout, async {
            self.jobs.send(job).await.is_ok().then_some((&mut outcomes).await)
        });
        match in_time.await {
            Ok(Some(Ok(outcomes))) => outcomes,
            _ if take(&posts).is_some() => all(PublishError::Unavailable),
            // They are being published, which has a limit of its own.
            _ => outcomes.await.unwrap_or_else(|_| all(PublishError::Unconfirmed)),
        }
    }
}

/// What there is to publish.
struct Work {
    jobs: mpsc::Receiver<Job>,
    answers: mpsc::Receiver<Post>,
}

/// The task that publishes.
struct Press {
    links: Links,
    calls: Calls,
    timeout: Duration,
    stop: CancellationToken,
}

impl Press {
    async fn run(mut self, mut work: Work) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let connected = self.stop.run_until_cancelled(self.links.connection());
            let Some(Some(connection)) = connected.await else { return Ok(()) };
            let mut links = self.links.clone();
            let served = tokio::select! {
                served = self.serve(&connection, &mut work, &mut backoff) => served,
                () = links.given_up(&connection) => Err(Error::GivenUp),
            };
            let Err(error) = served else { return Ok(()) };
            if connection.status().connected() && !matches!(error, Error::GivenUp) {
                let error = runtime::chain(&error);
                warn!(error, "the publishing channel was lost; it will be set up again");
                self.links.report_damage();
            }
            drop(connection);
            self.stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await;
        }
    }

    /// Publishes by this connection; `Ok` after `stop`, or when nobody is left to publish for.
    async fn serve(
        &self,
        connection: &Connection,
        work: &mut Work,
        backoff: &mut Backoff,
    ) -> Result<(), Error> {
        let (channel, answers) = self.open(connection).await?;
        let unconfirmed = self.channel(connection).await?;
        backoff.reset();
        tokio::select! {
            printed = self.print_all(&channel, &mut work.jobs) => printed,
            sent = self.send_all(&unconfirmed, &mut work.answers) => sent,
            error = self.take_all(answers) => Err(error),
        }
    }

    async fn channel(&self, connection: &Connection) -> Result<Channel, Error> {
        within(self.timeout, "opening a channel", connection.create_channel()).await
    }

    /// Direct reply-to wants the consumer on the very channel that publishes.
    async fn open(&self, connection: &Connection) -> Result<(Channel, Consumer), Error> {
        let channel = self.channel(connection).await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        within(self.timeout, "asking for confirms", confirming).await?;
        let consuming = channel.basic_consume(
            DIRECT_REPLY_TO.into(),
            ShortString::default(),
            BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() },
            FieldTable::default(),
        );
        let answers = within(self.timeout, "consuming answers", consuming).await?;
        Ok((channel, answers))
    }

    /// Takes the answers to our own calls.
    async fn take_all(&self, mut answers: Consumer) -> Error {
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(answer) => {
                    if let Some(id) = answer.properties.message_id() {
                        self.calls.answer(id.as_str(), &Bytes::from(answer.data));
                    }
                }
                Err(error) => {
                    return Error::Failed { step: "taking an answer", source: error.into() };
                }
            }
        }
        Error::Ended
    }

    /// Sends the answers to others' calls; `Ok` after `stop`, when all are sent.
    async fn send_all(
        &self,
        channel: &Channel,
        answers: &mut mpsc::Receiver<Post>,
    ) -> Result<(), Error> {
        let mut batch = Vec::with_capacity(JOBS);
        loop {
            tokio::select! {
                count = answers.recv_many(&mut batch, JOBS) => if count == 0 {
                    return Ok(());
                },
                () = self.stop.cancelled(), if !answers.is_closed() => answers.close(),
            }
            let sent = try_join_all(batch.iter().map(|post| post.publish(channel, false)));
            within(self.timeout, "sending answers", sent).await?;
            batch.clear();
        }
    }

    async fn print_all(
        &self,
        channel: &Channel,
        jobs: &mut mpsc::Receiver<Job>,
    ) -> Result<(), Error> {
        let mut batch = Vec::with_capacity(JOBS);
        while jobs.recv_many(&mut batch, JOBS).await != 0 {
            let started: Vec<_> = batch
                .drain(..)
                .filter_map(|Job { posts, done }| Some((take(&posts)?, done)))
                .collect();
            let posts = started.iter().flat_map(|(posts, _)| posts).collect::<Vec<_>>();
            let outcomes = self.print(channel, &posts).await;
            let lost = outcomes.contains(&Err(PublishError::Unconfirmed));
            let mut outcomes = outcomes.into_iter();
            for (posts, done) in started {
                // A caller that is gone needs no outcome.
                done.send(outcomes.by_ref().take(posts.len()).collect()).ok();
            }
            if lost {
                return Err(Error::NotTaken);
            }
        }
        Ok(())
    }

    /// Starts all of them, then waits for their confirms together.
    async fn print(&self, channel: &Channel, posts: &[&Post]) -> Vec<Outcome> {
        let confirmed = async {
            let started = join_all(posts.iter().map(|post| post.publish(channel, true))).await;
            join_all(started.into_iter().map(async |confirm| confirm?.await)).await
        };
        match tokio::time::timeout(self.timeout, confirmed).await {
            Ok(confirmed) => outcomes(posts, confirmed),
            Err(_) => vec![Err(PublishError::Unconfirmed); posts.len()],
        }
    }
}

impl Post {
    fn publish(
        &self,
        channel: &Channel,
        mandatory: bool,
    ) -> impl Future<Output = lapin::Result<PublisherConfirm>> {
        let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
        let (exchange, key) = (self.exchange.clone(), self.key.clone());
        channel.basic_publish(exchange, key, options, &self.body, self.properties.clone())
    }
}

/// lapin hangs a returned message on whichever confirm comes next, so that it is found again by its
/// id alone.
fn outcomes(posts: &[&Post], confirmed: Vec<lapin::Result<Confirmation>>) -> Vec<Outcome> {
    let mut returned = HashSet::new();
    let mut outcomes: Vec<_> = confirmed
        .into_iter()
        .map(|confirmation| {
            let confirmation = confirmation.map_err(|_| PublishError::Unconfirmed)?;
            let acknowledged = confirmation.is_ack();
            let message = confirmation.take_message();
            returned.extend(message.map(|message| message.properties.message_id().clone()));
            if acknowledged { Ok(()) } else { Err(PublishError::Refused) }
        })
        .collect();
    for (outcome, post) in outcomes.iter_mut().zip(posts) {
        if returned.contains(post.properties.message_id()) {
            *outcome = Err(PublishError::Unroutable);
        }
    }
    outcomes
}
