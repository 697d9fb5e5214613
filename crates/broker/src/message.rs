use bytes::Bytes;
use contracts::{ErrorInfo, Properties};
use runtime::Clock;

/// A message on the bus: the parts that are kept when it is published again.
///
/// AMQP has more (`user_id`, `CC`, priorities, foreign headers). They are not kept, because some of
/// them would make RabbitMQ refuse or multiply the message.
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
}

impl Message {
    /// The error event that answers it when no owner can be found.
    pub(crate) fn unroutable_event(&self, error: &str) -> Bytes {
        let key = self.key.parse().ok();
        let now = Clock::system().now();
        let error = (error, &ErrorInfo::invalid_request());
        contracts::unroutable_event(&self.body, &self.properties, key.as_ref(), error, now)
    }
}
