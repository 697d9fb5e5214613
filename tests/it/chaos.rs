//! A short form of `make chaos`, and the proof that its checker reports violations.

mod forged;
#[path = "../chaos/suite/lib.rs"]
mod suite;

use std::fs;
use std::path::Path;
use std::time::Duration;

use suite::checker::check;
use suite::evidence::Evidence;
use suite::{ChaosOptions, FaultKind};
use tokio::time::{sleep, timeout};

use crate::installation::free_shards;
use crate::support::World;
use crate::support::world::SHARDS;

#[tokio::test(flavor = "multi_thread")]
async fn a_small_fleet_loses_and_doubles_nothing_whatever_breaks() {
    let chosen = [
        FaultKind::KillWorker,
        FaultKind::KillRedis,
        FaultKind::FreezeWorker,
        FaultKind::KillRabbit,
    ];
    let options = ChaosOptions {
        seed: 5,
        accounts: 12,
        workers: 2,
        lease_s: 3,
        rate: 5.0,
        longest: Duration::from_mins(1),
        faults: FaultKind::ALL.into_iter().filter(|kind| chosen.contains(kind)).collect(),
        calm: Duration::from_secs(2),
        observation: Duration::from_secs(4),
    };
    let verdict = suite::run(options).await;
    let violations = verdict.violations;
    assert!(violations.is_empty(), "{violations:#?}; the logs are in {:?}", verdict.kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_producer_ends_no_process_and_touches_no_other_account() {
    let options = ChaosOptions {
        seed: 5,
        accounts: 6,
        workers: 2,
        lease_s: 8,
        rate: 2.0,
        longest: Duration::from_mins(1),
        faults: vec![FaultKind::Hostile],
        calm: Duration::from_secs(2),
        observation: Duration::from_secs(4),
    };
    let verdict = suite::run(options).await;
    let violations = verdict.violations;
    assert!(violations.is_empty(), "{violations:#?}; the logs are in {:?}", verdict.kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_reports_an_account_that_runs_twice() {
    let world = World::start(1).await;
    let (store, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let on = |store: &Path| store.to_str().unwrap().to_owned();
    let data = "TDFLEET__WORKER__DATA_DIR";
    let first = world.tdfleet(&["worker"], &[(data, &on(store.path()))]);
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    world.log_in(&mut backend, 1).await;

    // Another installation gets the same database, without a lease or a lock that could prevent it.
    // The owner is frozen meanwhile, so that the copy is one moment's.
    first.freeze();
    copy(store.path(), copied.path());
    first.resume();
    free_shards(&world.redis.uri(), "other", SHARDS).await;
    let other = [("TDFLEET__NAMESPACE", "other"), (data, &on(copied.path()))];
    let second = world.tdfleet(&["worker"], &other);
    let noticed = async {
        while world.sandbox.duplicates().is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let noticed = timeout(Duration::from_mins(1), noticed).await;
    assert!(noticed.is_ok(), "{}\n{}", first.log(), second.log());
    let evidence = Evidence { duplicates: world.sandbox.duplicates(), ..Evidence::default() };
    assert_eq!(check(&evidence)[0], "account 1: one key was used by two owners at once");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
