use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
        match queue.strip_prefix(DIRECT_REPLY_TO) {
            Some(rest) => rest.is_empty() || rest.strip_prefix('.').is_some_and(is_direct_address),
            None => queue.starts_with(&*self.prefix),
        }
    }

    /// The rule, for a caller who breaks it.
    pub(crate) fn rule(&self) -> String {
        format!(
            "reply_to must be {DIRECT_REPLY_TO} or a queue whose name begins with {}",
            self.prefix
        )
    }
}

/// What RabbitMQ appends to the name of direct reply-to: the consuming process and a key. RabbitMQ
/// closes the connection of a process that publishes to one it cannot decode, and then the replies to
/// others are lost with it.
fn is_direct_address(address: &str) -> bool {
    let Some((process, key)) = address.split_once('.') else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let key_is_plain = !key.is_empty() && key.bytes().all(plain);
    key_is_plain && STANDARD.decode(process).is_ok_and(|process| is_erlang_process(&process))
}

/// A process identifier in Erlang's external term format.
fn is_erlang_process(term: &[u8]) -> bool {
    let (numbers, node) = match term {
        [131, 88, node @ ..] => (12, node),
        [131, 103, node @ ..] => (9, node),
        _ => return false,
    };
    let (length, node) = match node {
        [119 | 115, length, node @ ..] => (usize::from(*length), node),
        [118 | 100, high, low, node @ ..] => (u16::from_be_bytes([*high, *low]).into(), node),
        _ => return false,
    };
    let name = node.get(..length);
    node.len() == length + numbers
        && name.is_some_and(|name| name.is_ascii() && name.contains(&b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_direct_reply_to_and_the_prefix_are_allowed() {
        let queues = ReplyQueues::new(&BrokerSettings::default(), &Names::default());
        // As RabbitMQ 3.10 makes them.
        let direct = "amq.rabbitmq.reply-to.g1h3DnJlcGx5QDg3MjgxNDg5AAAEVAAAAABqavH1.gGCZWuXUckhmh2JbwSOBvQ==";
        for queue in ["amq.rabbitmq.reply-to", direct, "tdfleet.reply.one"] {
            assert!(queues.allows(queue), "{queue}");
        }
        let settings = BrokerSettings { reply_prefix: Some("x-".to_owned()), ..Default::default() };
        let other = ReplyQueues::new(&settings, &Names::default());
        assert!(other.allows("x-1") && !other.allows("tdfleet.reply.one"));
        for queue in ["", "tdfleet.dead-letters", "amq.rabbitmq.reply-to-x", "amq.gen-1", "inbox"] {
            assert!(!queues.allows(queue), "{queue}");
        }
        let (name, address) = direct.split_at(DIRECT_REPLY_TO.len() + 1);
        let (process, key) = address.split_once('.').unwrap();
        for forged in [
            String::new(),
            ".".to_owned(),
            process.to_owned(),
            format!("{process}."),
            format!(".{key}"),
            format!("{process}.{key}.x"),
            format!("{}.{key}", &process[..process.len() - 4]),
            format!("{process}AAAA.{key}"),
            format!("g2dk.{key}"),
            format!("x.{key}"),
        ] {
            assert!(!queues.allows(&format!("{name}{forged}")), "{forged}");
        }
    }
}
