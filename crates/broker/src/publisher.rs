//! The publishing end of the bus.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::{CommandId, Names, ShardCount};
use runtime::{Clock, Stage};
use settings::BrokerSettings;

use crate::error::{Error, PublishError};
use crate::message::Message;
use crate::outgoing::Outgoing;
use crate::{amqp, local};

/// Puts commands on the bus. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct Publisher {
    kind: Kind,
    count: ShardCount,
    clock: Clock,
}

#[derive(Clone)]
enum Kind {
    Amqp(amqp::Commands),
    Local(Arc<local::Hub>),
}

impl Publisher {
    /// Publishes to RabbitMQ, over a connection of its own that lives inside `stage` and comes back
    /// by itself.
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
        let commands = amqp::Commands::start(stage, settings, names, count)?;
        Ok(Self { kind: Kind::Amqp(commands), count, clock: Clock::system() })
    }

    pub(crate) fn in_process(hub: Arc<local::Hub>) -> Self {
        let count = hub.count();
        Self { kind: Kind::Local(hub), count, clock: Clock::system() }
    }

    /// Publishes commands, persistent and mandatory, and returns when RabbitMQ has confirmed them:
    /// one outcome each, in order. They are started together and confirmed together, so that a
    /// batch costs little more than one; commands of one account keep their order.
    ///
    /// # Cancel safety
    ///
    /// Not safe: what was started may be on the queue. Publish it again under the same ids.
    pub async fn publish_command(
        &self,
        outgoing: &[Outgoing],
    ) -> Vec<Result<CommandId, PublishError>> {
        let mut ids = Vec::with_capacity(outgoing.len());
        let mut messages = Vec::with_capacity(outgoing.len());
        for command in outgoing {
            ids.push(command.message(self.count, self.clock.now()).map(|(id, message)| {
                messages.push(message);
                id
            }));
        }
        let mut outcomes = self.publish(messages).await.into_iter();
        let mut outcome = || outcomes.next().unwrap_or(Err(PublishError::Unconfirmed));
        ids.into_iter().map(|id| id.and_then(|id| outcome().map(|()| id))).collect()
    }

    /// Publishes one command and waits for its answer: the event's JSON, as it is in the log.
    ///
    /// # Errors
    ///
    /// Those of the publish, and [`PublishError::NoAnswer`] after `timeout`; if the command is run
    /// after all, its event comes by the log.
    pub async fn call(
        &self,
        outgoing: &Outgoing,
        timeout: Duration,
    ) -> Result<Bytes, PublishError> {
        let (id, mut message) = outgoing.message(self.count, self.clock.now())?;
        let calls = match &self.kind {
            Kind::Amqp(commands) => commands.calls(),
            Kind::Local(hub) => hub.calls(),
        };
        message.properties.reply_to = Some(amqp::DIRECT_REPLY_TO.to_owned());
        let answer = calls.expect(id.as_str());
        let answered = async {
            self.publish(vec![message]).await.pop().unwrap_or(Err(PublishError::Unconfirmed))?;
            answer.wait().await.ok_or(PublishError::NoAnswer)
        };
        tokio::time::timeout(timeout, answered).await.unwrap_or(Err(PublishError::NoAnswer))
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        match &self.kind {
            Kind::Amqp(commands) => commands.publish(messages).await,
            Kind::Local(hub) => messages.into_iter().map(|message| hub.publish(message)).collect(),
        }
    }
}
