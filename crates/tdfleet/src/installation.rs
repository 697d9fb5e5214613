//! What the settings say about the installation, in the types of the contract.

use std::collections::BTreeSet;

use anyhow::Context;
use contracts::{AccountId, Names, ShardCount};
use runtime::MacKey;
use settings::{ExposeSecret, Settings};

/// The names on RabbitMQ and Redis.
pub(crate) fn names(settings: &Settings) -> Names {
    Names::new(&settings.namespace)
}

/// The number of shards; loading the settings has checked its range.
pub(crate) fn shard_count(settings: &Settings) -> anyhow::Result<ShardCount> {
    ShardCount::new(settings.shard_count).context("shard_count is out of range")
}

/// The accounts of `worker.accounts`; loading the settings has refused numbers that are not ids.
pub(crate) fn account_ids(settings: &Settings) -> BTreeSet<AccountId> {
    let numbers = settings.worker.accounts.iter();
    numbers.filter_map(|number| AccountId::new(i64::try_from(number).ok()?)).collect()
}

/// The keys of what this installation writes to RabbitMQ and Redis; `None` without a master key.
pub(crate) fn mac_keys(settings: &Settings) -> Option<MacKeys> {
    let master = settings.telegram.master_key.as_ref()?.expose_secret();
    let [bus, log] = ["tdfleet bus", "tdfleet log"].map(|purpose| MacKey::derive(master, purpose));
    Some(MacKeys { bus, log })
}

/// See [`mac_keys`].
#[derive(Clone)]
pub(crate) struct MacKeys {
    /// For forwarded commands and dead letters.
    pub(crate) bus: MacKey,
    /// For pending commands and the accounts' heads.
    pub(crate) log: MacKey,
}
