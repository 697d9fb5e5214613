use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::faults::SettingFaults;
use crate::uri::ServerUri;

/// `[broker]`: the command bus on RabbitMQ.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerSettings {
    /// AMQP URI, `amqp://user:password@host:port/vhost`. Secret.
    /// Default: `amqp://127.0.0.1:5672/%2f`.
    pub uri: SecretString,
    /// `quorum` (replicated; for production) or `classic`. The type of an existing queue cannot be changed.
    /// Default: `quorum`.
    pub queue_type: QueueType,
    /// Unacknowledged deliveries per shard and flow: 1 to 4096. Default: 256.
    pub prefetch: u16,
    /// Timeout of each RabbitMQ operation (connect, declare, consume, confirm), in milliseconds: 100
    /// to 600000. A quorum queue without a leader never answers.
    /// Default: 10000.
    pub timeout_ms: u64,
    /// Seconds between two declarations of all exchanges, queues and bindings by a worker that is
    /// connected, which replaces what was deleted: 5 to 3600. Default: 30.
    pub topology_check_s: u64,
    /// How the names of queues begin that a command's `reply_to` may name, apart from RabbitMQ's direct
    /// reply-to: 1 to 200 bytes. The workers publish there with their own rights, so it must not cover
    /// the installation's own queues. Default: the namespace and `.reply.`.
    pub reply_prefix: Option<String>,
}

/// How RabbitMQ stores a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// Replicated by Raft.
    #[default]
    Quorum,
    /// On one node.
    Classic,
}

impl QueueType {
    /// AMQP argument `x-queue-type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
        }
    }
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            uri: "amqp://127.0.0.1:5672/%2f".into(),
            queue_type: QueueType::Quorum,
            prefetch: 256,
            timeout_ms: 10_000,
            topology_check_s: 30,
            reply_prefix: None,
        }
    }
}

impl BrokerSettings {
    /// [`Self::timeout_ms`] as a duration.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// [`Self::topology_check_s`] as a duration.
    pub fn topology_check(&self) -> Duration {
        Duration::from_secs(self.topology_check_s)
    }

    /// The host in [`Self::uri`], an IPv6 address without brackets; `None` if it is not a URI.
    pub fn host(&self) -> Option<String> {
        ServerUri::parse(self.uri.expose_secret(), "amqp").ok().map(|uri| uri.host())
    }

    pub(crate) fn check(&self, namespace: &str, faults: &mut SettingFaults) {
        if let Err(problem) = ServerUri::parse(self.uri.expose_secret(), "amqp") {
            faults.add("broker.uri", problem);
        }
        if !(1..=4096).contains(&self.prefetch) {
            faults.add("broker.prefetch", "must be between 1 and 4096");
        }
        if !(100..=600_000).contains(&self.timeout_ms) {
            faults.add("broker.timeout_ms", "must be between 100 and 600000");
        }
        if !(5..=3600).contains(&self.topology_check_s) {
            faults.add("broker.topology_check_s", "must be between 5 and 3600");
        }
        if let Some(prefix) = &self.reply_prefix {
            check_reply_prefix(prefix, namespace, faults);
        }
    }
}

fn check_reply_prefix(prefix: &str, namespace: &str, faults: &mut SettingFaults) {
    if !(1..=200).contains(&prefix.len()) {
        faults.add("broker.reply_prefix", "must have 1 to 200 bytes");
    }
    let own = ["cmd_", "unrouted", "expired", "dead-letters"];
    let covers = |queue: &str| {
        let own = format!("{namespace}.{queue}");
        own.starts_with(prefix) || prefix.starts_with(&own)
    };
    if own.into_iter().any(covers) || "amq.".starts_with(prefix) || prefix.starts_with("amq.") {
        faults.add("broker.reply_prefix", "must not cover queues of tdfleet or of RabbitMQ");
    }
}
