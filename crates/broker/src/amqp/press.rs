//! The task behind an outlet.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use lapin::options::{BasicConsumeOptions, ConfirmSelectOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Confirmation, Connection, Consumer};
use runtime::CancellationToken;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use crate::amqp::link::Links;
use crate::amqp::outlet::{Job, Outcome, Post};
use crate::amqp::{DIRECT_REPLY_TO, reconnect_backoff, within};
use crate::calls::Calls;
use crate::error::{Error, PublishError};

/// Jobs, and answers, that are taken together.
const JOBS: usize = 256;
/// Messages that are started together; they are to be confirmed within the timeout.
const BATCH: usize = 2000;

/// What there is to publish.
pub(crate) struct Work {
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) answers: mpsc::Receiver<Post>,
}

/// The task that publishes.
pub(crate) struct Press {
    pub(crate) links: Links,
    pub(crate) calls: Calls,
    pub(crate) timeout: Duration,
    pub(crate) stop: CancellationToken,
}

impl Press {
    /// Publishes until `stop`, or until nobody is left to publish for.
    pub(crate) async fn run(mut self, mut work: Work) -> anyhow::Result<()> {
        let mut backoff = reconnect_backoff();
        loop {
            let connected = self.stop.run_until_cancelled(self.links.connection());
            let Some(Some(connection)) = connected.await else { return Ok(()) };
            let (mut links, since) = (self.links.clone(), Instant::now());
            let served = tokio::select! {
                served = self.serve(&connection, &mut work) => served,
                () = links.given_up(&connection) => Err(Error::GivenUp),
            };
            let Err(error) = served else { return Ok(()) };
            if connection.status().connected() && !matches!(error, Error::GivenUp) {
                let error = runtime::error_chain(&error);
                warn!(error, "the publishing channel was lost; it will be set up again");
                self.links.report_damage();
            }
            drop(connection);
            backoff.reset_if_stable(since);
            self.stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await;
        }
    }

    /// Publishes by this connection; `Ok` after `stop`, or when nobody is left to publish for.
    async fn serve(&self, connection: &Connection, work: &mut Work) -> Result<(), Error> {
        let (channel, answers) = self.open(connection).await?;
        let unconfirmed = self.channel(connection).await?;
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
            let started: Vec<_> =
                batch.drain(..).filter_map(|job| Some((job.take()?, job.done))).collect();
            let posts = started.iter().flat_map(|(posts, _)| posts).collect::<Vec<_>>();
            let mut outcomes = Vec::with_capacity(posts.len());
            let mut lost = false;
            for batch in posts.chunks(BATCH) {
                let nothing_sent = || vec![Err(PublishError::Unavailable); batch.len()];
                let printed =
                    if lost { nothing_sent() } else { print(channel, batch, self.timeout).await };
                lost |= printed.contains(&Err(PublishError::Unconfirmed));
                outcomes.extend(printed);
            }
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
}

/// Starts all of them, then waits for their confirms together.
pub(crate) async fn print(channel: &Channel, posts: &[&Post], timeout: Duration) -> Vec<Outcome> {
    let confirmed = async {
        let started = join_all(posts.iter().map(|post| post.publish(channel, true))).await;
        join_all(started.into_iter().map(|confirm| async { confirm?.await })).await
    };
    match tokio::time::timeout(timeout, confirmed).await {
        Ok(confirmed) => outcomes(posts, confirmed),
        Err(_) => vec![Err(PublishError::Unconfirmed); posts.len()],
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
