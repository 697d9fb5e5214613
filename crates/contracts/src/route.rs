//! How a command finds its queue: flows and routing keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, NotAnId};
use crate::shard::{Shard, ShardCount};

/// One of a shard's two streams of commands; each has its own queue and its own lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Flow {
    /// A person waits for the answer.
    #[default]
    #[serde(rename = "cmd_hi")]
    Hi,
    /// Bulk work.
    #[serde(rename = "cmd_lo")]
    Lo,
}

impl Flow {
    /// Both flows.
    pub const ALL: [Self; 2] = [Self::Hi, Self::Lo];

    /// `cmd_hi` or `cmd_lo`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hi => "cmd_hi",
            Self::Lo => "cmd_lo",
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Flow {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        Self::ALL.into_iter().find(|flow| flow.as_str() == text).ok_or(NotAnId)
    }
}

/// A command's AMQP routing key, `<flow>.<shard>.acc.<userbot_id>.<command>`, such as
/// `cmd_hi.s055.acc.1.get_active_sessions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingKey {
    /// Which of the shard's two queues.
    pub flow: Flow,
    /// The account's shard.
    pub shard: Shard,
    /// The account.
    pub account: AccountId,
    /// The command's name, never with a dot.
    pub command: String,
}

impl RoutingKey {
    /// The key that routes `command` to the account's shard.
    pub fn new(flow: Flow, count: ShardCount, account: AccountId, command: &str) -> Self {
        let shard = count.shard_of(account);
        Self { flow, shard, account, command: command.replace('.', "_") }
    }
}

impl fmt::Display for RoutingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.acc.{}.{}", self.flow, self.shard, self.account, self.command)
    }
}

impl FromStr for RoutingKey {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mut words = text.split('.');
        let mut word = || words.next().ok_or(NotAnId);
        let (flow, shard) = (word()?.parse()?, word()?.parse()?);
        if word()? != "acc" {
            return Err(NotAnId);
        }
        let (account, command) = (word()?.parse()?, word()?.to_owned());
        let key = Self { flow, shard, account, command };
        let whole = !key.command.is_empty() && words.next().is_none();
        // RabbitMQ authorises the text: `+1` and `01` must not be account 1.
        if whole && key.to_string() == text { Ok(key) } else { Err(NotAnId) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routing_key_parses_back_to_itself() {
        let text = "cmd_lo.s055.acc.1.get_active_sessions";
        let key: RoutingKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        let count = ShardCount::new(64).unwrap();
        assert_eq!(RoutingKey::new(key.flow, count, key.account, &key.command), key);
    }

    #[test]
    fn a_key_of_another_form_is_refused() {
        for wrong in [
            "",
            "cmd_hi",
            "cmd_hi.s001.acc.0.x",
            "cmd_hi.s001.acc.01.x",
            "cmd_hi.s001.acc.+1.x",
            "cmd_hi.s001.acc.1",
            "cmd_hi.s001.acc.1.",
            "cmd_hi.s001.acc.1.x.",
            "cmd_hi.s001.acc.1.x.y",
            "a.s001.acc.1.x",
        ] {
            assert_eq!(wrong.parse::<RoutingKey>(), Err(NotAnId), "{wrong}");
        }
    }
}
