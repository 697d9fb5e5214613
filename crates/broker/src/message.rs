use bytes::Bytes;
use contracts::{CommandId, ErrorInfo, Properties, RoutingKey, UnloggedError};
use runtime::Clock;

/// A message on the bus: the parts that are kept when it is published again.
///
/// AMQP has more (`CC`, priorities, foreign headers). They are not kept, because some of them would
/// make RabbitMQ refuse or multiply the message. `user_id` becomes a signed header: RabbitMQ lets a
/// worker name no user but its own.
#[derive(Clone)]
pub(crate) struct Message {
    /// The routing key.
    pub(crate) key: String,
    pub(crate) body: Bytes,
    pub(crate) properties: Properties,
    /// Unix time in seconds.
    pub(crate) timestamp: Option<u64>,
    /// RabbitMQ removed it from its queue.
    pub(crate) expired: bool,
    /// It was forwarded once.
    pub(crate) forwarded: bool,
    /// Why its AMQP properties could not be read: then it becomes a dead letter.
    pub(crate) unreadable: Option<&'static str>,
}

impl Message {
    /// The error event that answers it when no owner can. Only the routing key says which account it
    /// was for; the body is not read.
    pub(crate) fn unlogged_answer(&self, error: &str) -> Bytes {
        let key: Option<RoutingKey> = self.key.parse().ok();
        let Properties { message_id, correlation_id, .. } = &self.properties;
        UnloggedError {
            account: key.as_ref().map(|key| key.account),
            command: key.as_ref().map(|key| &*key.command).filter(|name| is_word(name)),
            id: message_id.as_deref().and_then(CommandId::new).as_ref(),
            correlation_id: correlation_id.as_deref(),
            error,
            info: &ErrorInfo::invalid_request(),
            occurred_at: Clock::system().now(),
        }
        .encode()
    }
}

fn is_word(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
