//! The publishing connection.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use contracts::{Names, ShardCount};
use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Confirmation, Connection, Consumer};
use runtime::{OnFailure, Stage};
use settings::BrokerSettings;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::amqp::link::{Keeper, Links, Purpose};
use crate::amqp::topology::Topology;
use crate::amqp::{DIRECT_REPLY_TO, wire, within};
use crate::backoff::Backoff;
use crate::calls::Calls;
use crate::error::{Error, PublishError};
use crate::message::Message;

/// Jobs that wait for the connection; further callers wait before them.
const QUEUE: usize = 1024;
/// Jobs that are published together.
const JOBS: usize = 256;

type Outcome = Result<(), PublishError>;

/// What one caller wants published, in order.
struct Job {
    /// Whoever takes them out decides: the press publishes them, or the caller gives up and knows
    /// that nothing was sent.
    messages: Arc<Mutex<Option<Vec<Message>>>>,
    done: oneshot::Sender<Vec<Outcome>>,
}

fn take(messages: &Mutex<Option<Vec<Message>>>) -> Option<Vec<Message>> {
    messages.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Publishes by the one connection, for all callers.
#[derive(Clone)]
pub(crate) struct Outlet {
    jobs: mpsc::Sender<Job>,
    calls: Calls,
    timeout: Duration,
}

impl Outlet {
    pub(crate) fn start(
        stage: &Stage,
        settings: &BrokerSettings,
        names: Names,
        count: ShardCount,
    ) -> Result<Self, Error> {
        let timeout = settings.timeout();
        let exchange = names.commands_exchange().into();
        let topology = Topology { names, count, queue_type: settings.queue_type, timeout };
        let keeper = Keeper::new(settings, Purpose::Publish, topology)?;
        let (sender, jobs) = mpsc::channel(QUEUE);
        let calls = Calls::default();
        let press = Press { exchange, links: keeper.links(), calls: calls.clone(), timeout };
        let stop = stage.stopping();
        stage.spawn("publisher connection", OnFailure::Stop, keeper.keep(stop.clone()));
        stage.spawn("publisher", OnFailure::Stop, async move {
            stop.run_until_cancelled(press.run(jobs)).await.unwrap_or(Ok(()))
        });
        Ok(Self { jobs: sender, calls, timeout })
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Publishes; the outcomes in order. What finds no connection in time is not sent at all.
    pub(crate) async fn publish(&self, messages: Vec<Message>) -> Vec<Outcome> {
        let count = messages.len();
        if count == 0 {
            return Vec::new();
        }
        let all = |error| vec![Err(error); count];
        let messages = Arc::new(Mutex::new(Some(messages)));
        let (done, mut outcomes) = oneshot::channel();
        let job = Job { messages: Arc::clone(&messages), done };
        let in_time = tokio::time::timeout(self.timeout, async {
            self.jobs.send(job).await.is_ok().then_some((&mut outcomes).await)
        });
        match in_time.await {
            Ok(Some(Ok(outcomes))) => outcomes,
            _ if take(&messages).is_some() => all(PublishError::Unavailable),
            // They are being published, which has a limit of its own.
            _ => outcomes.await.unwrap_or_else(|_| all(PublishError::Unconfirmed)),
        }
    }
}

/// The task that publishes.
struct Press {
    exchange: ShortString,
    links: Links,
    calls: Calls,
    timeout: Duration,
}

impl Press {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let link = self.links.wait_for(Option::is_some).await;
            let Some(connection) = link.ok().and_then(|link| link.clone()) else { return Ok(()) };
            let Err(error) = self.serve(&connection, &mut jobs, &mut backoff).await else {
                return Ok(());
            };
            if connection.status().connected() {
                let error = runtime::chain(&error);
                warn!(error, "the publishing channel was lost; it will be set up again");
            }
            drop(connection);
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Publishes by one channel; `Ok` when no publisher is left.
    async fn serve(
        &self,
        connection: &Connection,
        jobs: &mut mpsc::Receiver<Job>,
        backoff: &mut Backoff,
    ) -> Result<(), Error> {
        let (channel, answers) = self.open(connection).await?;
        backoff.reset();
        tokio::select! {
            printed = self.print_all(&channel, jobs) => printed,
            error = self.answer_all(answers) => Err(error),
        }
    }

    /// Direct reply-to wants the consumer on the very channel that publishes.
    async fn open(&self, connection: &Connection) -> Result<(Channel, Consumer), Error> {
        let timeout = self.timeout;
        let channel = within(timeout, "opening a channel", connection.create_channel()).await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        within(timeout, "asking for confirms", confirming).await?;
        let consuming = channel.basic_consume(
            DIRECT_REPLY_TO.into(),
            ShortString::default(),
            BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() },
            FieldTable::default(),
        );
        let answers = within(timeout, "consuming answers", consuming).await?;
        Ok((channel, answers))
    }

    async fn answer_all(&self, mut answers: Consumer) -> Error {
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(answer) => {
                    if let Some(id) = answer.properties.message_id() {
                        self.calls.answer(id.as_str(), &Bytes::from(answer.data));
                    }
                }
                Err(source) => return Error::Failed { step: "taking an answer", source },
            }
        }
        Error::Ended
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
                .filter_map(|Job { messages, done }| Some((take(&messages)?, done)))
                .collect();
            let messages = started.iter().flat_map(|(messages, _)| messages).collect::<Vec<_>>();
            let outcomes = self.print(channel, &messages).await;
            let lost = outcomes.contains(&Err(PublishError::Unconfirmed));
            let mut outcomes = outcomes.into_iter();
            for (messages, done) in started {
                // A caller that is gone needs no outcome.
                done.send(outcomes.by_ref().take(messages.len()).collect()).ok();
            }
            if lost {
                return Err(Error::NotTaken);
            }
        }
        Ok(())
    }

    /// Starts all of them, then waits for their confirms together.
    async fn print(&self, channel: &Channel, messages: &[&Message]) -> Vec<Outcome> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirmed = async {
            let started = join_all(messages.iter().map(|message| {
                let key = wire::short(&message.key).unwrap_or_default();
                let properties = wire::properties(message);
                let exchange = self.exchange.clone();
                channel.basic_publish(exchange, key, options, &message.body, properties)
            }));
            join_all(started.await.into_iter().map(async |confirm| confirm?.await)).await
        };
        match tokio::time::timeout(self.timeout, confirmed).await {
            Ok(confirmed) => outcomes(messages, confirmed),
            Err(_) => vec![Err(PublishError::Unconfirmed); messages.len()],
        }
    }
}

/// lapin hangs a returned message on whichever confirm comes next, so that it is found again by its
/// id alone.
fn outcomes(messages: &[&Message], confirmed: Vec<lapin::Result<Confirmation>>) -> Vec<Outcome> {
    let mut returned = HashSet::new();
    let mut outcomes: Vec<_> = confirmed
        .into_iter()
        .map(|confirmation| {
            let confirmation = confirmation.map_err(|_| PublishError::Unconfirmed)?;
            let acknowledged = confirmation.is_ack();
            let id = confirmation
                .take_message()
                .and_then(|message| message.delivery.properties.message_id().clone());
            returned.extend(id.map(String::from));
            if acknowledged { Ok(()) } else { Err(PublishError::Refused) }
        })
        .collect();
    for (outcome, message) in outcomes.iter_mut().zip(messages) {
        if message.properties.message_id.as_ref().is_some_and(|id| returned.contains(id)) {
            *outcome = Err(PublishError::Unroutable);
        }
    }
    outcomes
}
