use bytes::Bytes;
use contracts::Properties;

/// One message on its way: what of it is kept when it is passed on.
///
/// AMQP has more (`user_id`, `CC`, priorities, foreign headers); they are let go, since some of them
/// would make RabbitMQ refuse or multiply the message when it is published again.
#[derive(Clone)]
pub(crate) struct Message {
    /// The routing key.
    pub(crate) key: String,
    pub(crate) body: Bytes,
    pub(crate) properties: Properties,
    /// Unix time in seconds.
    pub(crate) timestamp: Option<u64>,
    /// RabbitMQ took it out of its queue.
    pub(crate) expired: bool,
    /// It was forwarded once.
    pub(crate) forwarded: bool,
}
