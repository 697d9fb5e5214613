//! What the settings say about the installation, in the types of the contract.

use std::collections::BTreeSet;

use anyhow::Context;
use contracts::{AccountId, Names, ShardCount};
use settings::Settings;

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
