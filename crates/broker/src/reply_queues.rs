use std::sync::Arc;

use contracts::Names;
use settings::BrokerSettings;

/// RabbitMQ's pseudo-queue that receives replies without a queue being declared.
pub(crate) const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// The queues that a `reply_to` may name. The process publishes there with its own rights, so a
/// caller must not be able to name just any.
#[derive(Clone)]
pub(crate) struct ReplyQueues {
    prefix: Arc<str>,
}

impl ReplyQueues {
    pub(crate) fn new(settings: &BrokerSettings, names: &Names) -> Self {
        let prefix = settings.reply_prefix.clone().unwrap_or_else(|| names.reply_prefix());
        Self { prefix: prefix.into() }
    }

    /// Those of an in-process bus, where direct reply-to is the only one.
    pub(crate) fn direct() -> Self {
        Self { prefix: DIRECT_REPLY_TO.into() }
    }

    pub(crate) fn allows(&self, queue: &str) -> bool {
        let direct = queue.strip_prefix(DIRECT_REPLY_TO);
        direct.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            || queue.starts_with(&*self.prefix)
    }

    /// The rule, for a caller who breaks it.
    pub(crate) fn rule(&self) -> String {
        format!("reply_to must be {DIRECT_REPLY_TO} or a queue whose name begins with {}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_direct_reply_to_and_the_prefix_are_allowed() {
        let queues = ReplyQueues::new(&BrokerSettings::default(), &Names::default());
        for queue in ["amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.g1.a", "tdfleet.reply.one"] {
            assert!(queues.allows(queue), "{queue}");
        }
        let settings = BrokerSettings { reply_prefix: Some("x-".to_owned()), ..Default::default() };
        let other = ReplyQueues::new(&settings, &Names::default());
        assert!(other.allows("x-1") && !other.allows("tdfleet.reply.one"));
        for queue in ["", "tdfleet.dead-letters", "amq.rabbitmq.reply-to-x", "amq.gen-1", "inbox"] {
            assert!(!queues.allows(queue), "{queue}");
        }
    }
}
