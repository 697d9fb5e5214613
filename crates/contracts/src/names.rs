//! Names on RabbitMQ and Redis, all under one namespace (`tdfleet` unless set otherwise).

use crate::caller::LedgerKey;
use crate::ids::AccountId;
use crate::route::Flow;
use crate::shard::{Shard, ShardCount};

/// Every name; the namespace separates installations that share a server.
#[derive(Clone, Debug)]
pub struct Names {
    namespace: String,
}

impl Names {
    /// Names under `namespace`: letters, digits, `_` and `-`, as the settings check.
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    /// Topic exchange that commands are published to: `tdfleet.commands`.
    pub fn commands_exchange(&self) -> String {
        format!("{}.commands", self.namespace)
    }

    /// Durable queue of one shard and flow: `tdfleet.cmd_hi.s055.of64`. The shard count is part of
    /// the name, so that two counts never share a queue.
    pub fn command_queue(&self, flow: Flow, shard: Shard, count: ShardCount) -> String {
        format!("{}.{flow}.{shard}.of{}", self.namespace, count.get())
    }

    /// Binding of that queue: `cmd_hi.s055.acc.*.*`.
    pub fn command_binding(flow: Flow, shard: Shard) -> String {
        format!("{flow}.{shard}.acc.*.*")
    }

    /// Alternate exchange (fanout) of the commands' exchange: `tdfleet.unrouted.of64`. RabbitMQ
    /// compares it on every declare, which is how it refuses a worker with another shard count.
    pub fn unrouted_exchange(&self, count: ShardCount) -> String {
        format!("{}.unrouted.of{}", self.namespace, count.get())
    }

    /// Queue of messages that matched no binding; the workers read it: `tdfleet.unrouted`.
    pub fn unrouted_queue(&self) -> String {
        format!("{}.unrouted", self.namespace)
    }

    /// Dead-letter exchange (fanout) of the shard queues, for messages that RabbitMQ itself removes
    /// from a queue: `tdfleet.expired`.
    pub fn expired_exchange(&self) -> String {
        format!("{}.expired", self.namespace)
    }

    /// Queue of messages that RabbitMQ removed (expired by AMQP's `expiration`); the workers read and
    /// answer them: `tdfleet.expired`.
    pub fn expired_queue(&self) -> String {
        format!("{}.expired", self.namespace)
    }

    /// Queue of messages that nobody can process, with the reason in a header, for the operator:
    /// `tdfleet.dead-letters`.
    pub fn dead_letter_queue(&self) -> String {
        format!("{}.dead-letters", self.namespace)
    }

    /// How the names of queues begin that a `reply_to` may name: `tdfleet.reply.`
    pub fn reply_prefix(&self) -> String {
        format!("{}.reply.", self.namespace)
    }

    /// Redis stream of one account's events: `tdfleet:{1}:log`. The braces put all keys of an
    /// account into one slot of a Redis Cluster.
    pub fn log_key(&self, account: AccountId) -> String {
        format!("{}:{{{account}}}:log", self.namespace)
    }

    /// Redis hash with the newest event id and epoch of an account: `tdfleet:{1}:head`.
    pub fn head_key(&self, account: AccountId) -> String {
        format!("{}:{{{account}}}:head", self.namespace)
    }

    /// Redis pub/sub channel of one account's events: `tdfleet:{1}:live`.
    pub fn live_channel(&self, account: AccountId) -> String {
        format!("{}:{{{account}}}:live", self.namespace)
    }

    /// Redis stream of one account's and flow's pending commands: `tdfleet:{1}:pending:cmd_hi`.
    pub fn pending_key(&self, account: AccountId, flow: Flow) -> String {
        format!("{}:{{{account}}}:pending:{flow}", self.namespace)
    }

    /// Redis stream of what was found in an account's pending lists and was not written by an owner, for
    /// the operator: `tdfleet:{1}:quarantine`.
    pub fn quarantine_key(&self, account: AccountId) -> String {
        format!("{}:{{{account}}}:quarantine", self.namespace)
    }

    /// Redis string with the ledger's entry of one command: `tdfleet:{1}:cmd:<command_id>`, and
    /// `tdfleet:{1}:by:<bytes of the caller's name>:<caller>:<command_id>` if its caller is known.
    pub fn ledger_key(&self, account: AccountId, key: &LedgerKey) -> String {
        let (namespace, command) = (&self.namespace, &key.command);
        match &key.caller {
            None => format!("{namespace}:{{{account}}}:cmd:{command}"),
            // Names and ids may contain colons: the length keeps two pairs apart.
            Some(caller) => {
                let length = caller.as_str().len();
                format!("{namespace}:{{{account}}}:by:{length}:{caller}:{command}")
            }
        }
    }

    /// Redis stream of who had which command run, all accounts together: `tdfleet:audit`.
    pub fn audit_key(&self) -> String {
        format!("{}:audit", self.namespace)
    }

    /// Redis hash with the lease of each shard, as JSON: `tdfleet:{fleet}:shards`.
    pub fn shards_key(&self) -> String {
        format!("{}:{{fleet}}:shards", self.namespace)
    }

    /// Redis hash with each worker's status report, as JSON: `tdfleet:{fleet}:workers`.
    pub fn workers_key(&self) -> String {
        format!("{}:{{fleet}}:workers", self.namespace)
    }

    /// Redis hash with the worker that the operator has pinned a shard to: `tdfleet:{fleet}:pins`.
    pub fn pins_key(&self) -> String {
        format!("{}:{{fleet}}:pins", self.namespace)
    }

    /// Redis string that exists while a shard moves: `tdfleet:{fleet}:move`.
    pub fn move_key(&self) -> String {
        format!("{}:{{fleet}}:move", self.namespace)
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new("tdfleet")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::CallerName;
    use crate::ids::CommandId;

    #[test]
    fn two_callers_never_share_a_ledger_entry() {
        let key = |caller: Option<&str>, id: &str| {
            let caller = caller.map(|name| CallerName::new(name).unwrap());
            let key = LedgerKey { caller, command: CommandId::new(id).unwrap() };
            Names::default().ledger_key(AccountId::new(1).unwrap(), &key)
        };
        assert_eq!(key(None, "c"), "tdfleet:{1}:cmd:c");
        assert_eq!(key(Some("shop"), "c"), "tdfleet:{1}:by:4:shop:c");
        assert_ne!(key(Some("a:b"), "c"), key(Some("a"), "b:c"));
        assert_ne!(key(None, "by:1:a:b"), key(Some("a"), "b"));
    }
}
