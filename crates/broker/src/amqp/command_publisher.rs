use std::time::Duration;

use contracts::{CallerName, Names, ShardCount};
use lapin::types::ShortString;
use runtime::Stage;
use settings::BrokerSettings;

use crate::amqp::codec;
use crate::amqp::connection::{self, ConnectionManager, ConnectionPurpose};
use crate::amqp::publication::PublishResult;
use crate::amqp::publisher::AmqpPublisher;
use crate::amqp::topology::Topology;
use crate::error::Error;
use crate::message::Message;
use crate::pending_replies::PendingReplies;
use crate::reply_queues::ReplyQueues;

/// Publishes a client's commands to the commands' exchange.
#[derive(Clone)]
pub(crate) struct CommandPublisher {
    exchange: ShortString,
    /// The connection's user.
    caller: Option<CallerName>,
    publisher: AmqpPublisher,
}

impl CommandPublisher {
    pub(crate) fn start(
        stage: &Stage,
        settings: &BrokerSettings,
        names: Names,
        count: ShardCount,
    ) -> Result<Self, Error> {
        let (exchange, replies) =
            (names.commands_exchange().into(), ReplyQueues::new(settings, &names));
        let caller = connection::user(settings)?;
        let topology = Topology::new(settings, names, count);
        let manager = ConnectionManager::new(settings, ConnectionPurpose::Publish, topology)?;
        let stop = stage.stopping();
        let publisher = AmqpPublisher::start(stage, manager, replies, settings.timeout(), stop);
        Ok(Self { exchange, caller, publisher })
    }

    pub(crate) fn pending_replies(&self) -> &PendingReplies {
        self.publisher.pending_replies()
    }

    /// Publishes; the results in order. Nothing is sent if there is no connection within `patience`,
    /// or within `broker.timeout_ms` if that is shorter.
    pub(crate) async fn publish(
        &self,
        messages: Vec<Message>,
        patience: Duration,
    ) -> Vec<PublishResult> {
        let command = |mut message: Message| {
            message.properties.caller.clone_from(&self.caller);
            codec::command(self.exchange.clone(), message)
        };
        self.publisher.publish_within(messages.into_iter().map(command).collect(), patience).await
    }
}
