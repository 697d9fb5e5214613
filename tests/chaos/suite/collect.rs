//! Collects the evidence of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::Flow;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisResult};
use tokio::time::{Instant, sleep};

use super::evidence::{AccountEvidence, CommandKind, Effect, Evidence};
use super::{ChaosRun, lock};

/// Longest wait for the last acknowledgements.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(20);

/// Collects the evidence once the queues are empty or the time is up.
pub(crate) async fn collect(run: &ChaosRun) -> Evidence {
    let queues = remaining_messages(run).await;
    run.follower.catch_up().await.expect("Redis answers");
    let client = redis::Client::open(run.fleet.redis_uri.as_str()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let mut effects = effects(run);
    let mut accounts = BTreeMap::new();
    for account in 1..=run.options.accounts {
        let published = lock(&run.published).get(&account).cloned().unwrap_or_default();
        let messages = lock(&run.messages).get(&account).cloned().unwrap_or_default();
        let destroyed = lock(&run.destroyed).contains(&account);
        // First what was seen, then the log, because updates may still arrive.
        let seen = run.follower.seen(account);
        let evidence = AccountEvidence {
            published,
            log: run.follower.log(account).await.expect("Redis answers"),
            seen,
            effects: effects.remove(&account).unwrap_or_default(),
            ledger: ledger(&mut redis, account).await.expect("Redis answers"),
            pending: pending(&mut redis, account).await.expect("Redis answers"),
            messages,
            destroyed,
            attacked: lock(&run.attacked).contains(&account),
        };
        accounts.insert(account, evidence);
    }
    let duplicates = run.fleet.sandbox.duplicates();
    let uploads = run.fleet.sandbox.count_calls(None, Some("upload.saveFilePart"));
    let (wipes, ended) = (lock(&run.wipes).clone(), lock(&run.ended).clone());
    Evidence { accounts, queues, duplicates, wipes, ended, uploads }
}

/// The effects of the sandbox's calls, by account.
fn effects(run: &ChaosRun) -> BTreeMap<u32, Vec<Effect>> {
    let mut effects: BTreeMap<u32, Vec<Effect>> = BTreeMap::new();
    for call in run.fleet.sandbox.calls(None, None) {
        let kind = match call.method {
            "account.updateProfile" => CommandKind::NotIdempotent,
            "account.setAuthorizationTTL" => CommandKind::Idempotent,
            _ => continue,
        };
        if let (Some(account), Some(number), "ok") =
            (call.account, number_in(&call.arguments), call.outcome.as_str())
        {
            let effect = Effect { at: call.at_ms, kind, number };
            effects.entry(account).or_default().push(effect);
        }
    }
    effects
}

/// The first number in a call's arguments, which are in Rust's `Debug` format.
fn number_in(arguments: &str) -> Option<u32> {
    let digits = arguments.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty());
    digits?.parse().ok()
}

/// The queues that are not idle and their consumers, as a table for people.
pub(crate) fn queues(run: &ChaosRun) -> String {
    let columns = ["name", "messages_ready", "messages_unacknowledged", "consumers"];
    let table = run.fleet.rabbit(|rabbit| rabbit.ctl(["list_queues"].iter().chain(&columns)));
    let holds = |line: &&str| !line.contains("\t0\t0\t");
    table.lines().filter(holds).collect::<Vec<_>>().join("\n")
}

/// Waits until RabbitMQ's queues are empty; those that are not when the time is up.
async fn remaining_messages(run: &ChaosRun) -> Vec<(String, u64)> {
    let begun = Instant::now();
    loop {
        let table = run
            .fleet
            .rabbit(|rabbit| rabbit.ctl(["list_queues", "--no-table-headers", "name", "messages"]));
        let row = |line: &str| {
            let (name, messages) = line.split_once('\t')?;
            Some((name.to_owned(), messages.trim().parse().ok()?))
        };
        let held: Vec<(String, u64)> =
            table.lines().filter_map(row).filter(|(_, messages)| 0 < *messages).collect();
        if held.is_empty() || QUEUE_TIMEOUT < begun.elapsed() {
            return held;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn ledger(
    redis: &mut MultiplexedConnection,
    account: u32,
) -> RedisResult<BTreeMap<String, String>> {
    let prefix = format!("tdfleet:{{{account}}}:cmd:");
    let (mut cursor, mut entries) = (0_u64, BTreeMap::new());
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(10_000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(redis).await?;
        if !keys.is_empty() {
            let values: Vec<Option<String>> =
                redis::cmd("MGET").arg(&keys).query_async(redis).await?;
            let named = keys.iter().map(|key| key[prefix.len()..].to_owned());
            entries.extend(named.zip(values).filter_map(|(id, value)| Some((id, value?))));
        }
        cursor = next;
        if cursor == 0 {
            return Ok(entries);
        }
    }
}

async fn pending(redis: &mut MultiplexedConnection, account: u32) -> RedisResult<u64> {
    let mut all = 0;
    for flow in Flow::ALL {
        let mut length = redis::cmd("XLEN");
        length.arg(format!("tdfleet:{{{account}}}:pending:{flow}"));
        all += length.query_async::<u64>(redis).await?;
    }
    Ok(all)
}
