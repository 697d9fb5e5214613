//! Accounts whose log belongs to an epoch that no owner has.

use std::collections::HashMap;

use contracts::{AccountId, Names, Shard, ShardCount};
use ownership::ShardView;
use publisher::read_epochs;
use settings::Settings;

use super::super::fleet::fleet;
use super::check::DoctorCheck;

const PART: &str = "accounts";

/// Accounts that are named; of more, only the number.
const NAMED: usize = 5;

pub(super) async fn check(
    settings: &Settings,
    names: &Names,
    count: ShardCount,
) -> anyhow::Result<Vec<DoctorCheck>> {
    let view = fleet(settings)?.view().await?;
    let owned = view.shards.into_iter().filter(|shard| shard.owner.is_some());
    let owned: HashMap<Shard, ShardView> = owned.map(|shard| (shard.shard, shard)).collect();
    let accounts = settings.worker.accounts.iter();
    let accounts = accounts.filter_map(|id| AccountId::new(i64::try_from(id).ok()?));
    let epochs = read_epochs(&settings.publisher, names, accounts).await?;
    let fenced: Vec<_> = epochs
        .into_iter()
        .filter_map(|(account, epoch)| {
            let expected = owned.get(&count.shard_of(account))?.epoch;
            let newer = epoch.parse().is_ok_and(|epoch: u64| expected.0 < epoch);
            newer.then(|| format!("account {account} has epoch {epoch}, its owner {expected}"))
        })
        .collect();
    if fenced.is_empty() {
        return Ok(Vec::new());
    }
    let found = format!(
        "{} accounts are closed, since their logs have a newer epoch than their owners: {}",
        fenced.len(),
        fenced[..fenced.len().min(NAMED)].join("; ")
    );
    let remedy = "if it stays so, delete the field `epoch` of their heads, see docs/operations.md";
    Ok(vec![DoctorCheck::wrong(PART, found, remedy)])
}
