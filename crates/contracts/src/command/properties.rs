use crate::caller::CallerName;

/// A message's AMQP properties, as far as the command's contract uses them.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    /// `message_id`: the command's id.
    pub message_id: Option<String>,
    /// `correlation_id`.
    pub correlation_id: Option<String>,
    /// `reply_to`: a queue that gets the answer as well.
    pub reply_to: Option<String>,
    /// Header `traceparent` (W3C Trace Context).
    pub traceparent: Option<String>,
    /// `user_id`, which RabbitMQ has verified; `None` for an anonymous command.
    pub caller: Option<CallerName>,
}
