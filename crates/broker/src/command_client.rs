//! The publishing end of the bus.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::{CommandId, Names, ShardCount};
use runtime::{Clock, Stage};
use settings::BrokerSettings;
use tokio::time::{Instant, timeout_at};

use crate::amqp::CommandPublisher;
use crate::command_request::CommandRequest;
use crate::error::{Error, PublishError};
use crate::in_process::InProcessBus;
use crate::message::Message;
use crate::pending_replies::PendingReplies;
use crate::reply_queues::DIRECT_REPLY_TO;

/// Publishes commands and waits for their answers. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct CommandClient {
    transport: ClientTransport,
    count: ShardCount,
    clock: Clock,
}

#[derive(Clone)]
enum ClientTransport {
    Amqp(CommandPublisher),
    InProcess(Arc<InProcessBus>),
}

impl CommandClient {
    /// Publishes to RabbitMQ, over its own connection, which lives inside `stage` and reconnects by
    /// itself.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`].
    pub fn start(
        stage: &Stage,
        settings: &BrokerSettings,
        names: Names,
        count: ShardCount,
    ) -> Result<Self, Error> {
        let commands = CommandPublisher::start(stage, settings, names, count)?;
        Ok(Self { transport: ClientTransport::Amqp(commands), count, clock: Clock::system() })
    }

    pub(crate) fn in_process(bus: Arc<InProcessBus>) -> Self {
        let count = bus.count();
        Self { transport: ClientTransport::InProcess(bus), count, clock: Clock::system() }
    }

    /// Publishes commands, persistent and mandatory, and returns when RabbitMQ has confirmed them:
    /// one outcome each, in order. They are sent together and confirmed together, so a batch
    /// costs little more than one; commands of one account keep their order.
    ///
    /// # Cancel safety
    ///
    /// Not safe: commands that were sent may be on the queue. Publish them again under the same ids.
    pub async fn publish_command(
        &self,
        requests: &[CommandRequest],
    ) -> Vec<Result<CommandId, PublishError>> {
        let mut ids = Vec::with_capacity(requests.len());
        let mut messages = Vec::with_capacity(requests.len());
        for request in requests {
            ids.push(request.message(self.count, self.clock.now()).map(|(id, message)| {
                messages.push(message);
                id
            }));
        }
        let mut outcomes = self.publish(messages, Duration::MAX).await.into_iter();
        let mut outcome = || outcomes.next().unwrap_or(Err(PublishError::Unconfirmed));
        ids.into_iter().map(|id| id.and_then(|id| outcome().map(|()| id))).collect()
    }

    /// Publishes one command and waits for its answer: the event's JSON, as it is in the log.
    ///
    /// # Errors
    ///
    /// Those of the publish; [`PublishError::Unavailable`] if there was no connection within `timeout`,
    /// and [`PublishError::NoAnswer`] after `timeout`: if the command is run after all, its event is
    /// in the log.
    pub async fn call(
        &self,
        request: &CommandRequest,
        timeout: Duration,
    ) -> Result<Bytes, PublishError> {
        let (id, mut message) = request.message(self.count, self.clock.now())?;
        message.properties.reply_to = Some(DIRECT_REPLY_TO.to_owned());
        let reply = self.pending_replies().expect(id.as_str());
        let deadline = Instant::now() + timeout;
        // It has its own time limit, and knows whether anything was sent.
        let mut published = self.publish(vec![message], timeout).await;
        published.pop().unwrap_or(Err(PublishError::Unconfirmed))?;
        let answered = timeout_at(deadline, reply.receive()).await;
        answered.ok().flatten().ok_or(PublishError::NoAnswer)
    }

    fn pending_replies(&self) -> &PendingReplies {
        match &self.transport {
            ClientTransport::Amqp(commands) => commands.pending_replies(),
            ClientTransport::InProcess(bus) => bus.pending_replies(),
        }
    }

    async fn publish(
        &self,
        messages: Vec<Message>,
        patience: Duration,
    ) -> Vec<Result<(), PublishError>> {
        match &self.transport {
            ClientTransport::Amqp(commands) => commands.publish(messages, patience).await,
            ClientTransport::InProcess(bus) => {
                messages.into_iter().map(|message| bus.publish(message)).collect()
            }
        }
    }
}
