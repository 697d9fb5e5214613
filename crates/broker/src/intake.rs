//! What is asked of a message before anything of its body is parsed.
//!
//! The account comes from the routing key, which RabbitMQ has authorised, and from nothing else. Every
//! check takes one pass at most, over a body within its limit.

mod json_scan;

use contracts::{CommandId, RoutingKey, UnreadableCommand};
use settings::LimitSettings;

use crate::intake::json_scan::JsonScan;
use crate::message::Message;
use crate::reply_queues::ReplyQueues;

/// Reason of a dead letter whose routing key names no account.
pub(crate) const NO_COMMAND_KEY: &str = "its routing key is not that of a command";

/// The command whose parameters may be larger than those of all others.
const CALL_TDLIB: &str = "call_tdlib";

/// The limits of a process.
pub(crate) struct IntakeRules {
    limits: LimitSettings,
    replies: ReplyQueues,
}

impl IntakeRules {
    pub(crate) fn new(limits: LimitSettings, replies: ReplyQueues) -> Self {
        Self { limits, replies }
    }

    /// Why a message is refused without being parsed, addressed by its routing key.
    pub(crate) fn refusal(&self, message: &Message, key: &RoutingKey) -> Option<UnreadableCommand> {
        let refuse = |error: String, garbled| UnreadableCommand {
            error: error.into(),
            name: Some(key.command.clone()),
            account: Some(key.account),
            id: message.properties.message_id.as_deref().and_then(CommandId::new),
            garbled,
        };
        if let Some(fault) = self.fault(message, key) {
            return Some(refuse(fault, true));
        }
        let reply_to = message.properties.reply_to.as_deref();
        let foreign = reply_to.is_some_and(|queue| !self.replies.allows(queue));
        foreign.then(|| refuse(self.replies.rule(), false))
    }

    /// What makes it a dead letter.
    fn fault(&self, message: &Message, key: &RoutingKey) -> Option<String> {
        if let Some(unreadable) = message.unreadable {
            return Some(unreadable.to_owned());
        }
        let LimitSettings { command_kib, call_tdlib_kib, .. } = self.limits;
        let kib = if key.command == CALL_TDLIB { call_tdlib_kib } else { command_kib };
        if u64::from(kib) << 10 < message.body.len() as u64 {
            return Some(format!("command is larger than {kib} KiB"));
        }
        JsonScan::new(&self.limits).check(&message.body).err()
    }
}
