//! A short form of `make chaos`, and the proof that its checker objects to what is wrong.

mod forged;
#[path = "../chaos/suite/lib.rs"]
mod suite;

use std::fs;
use std::path::Path;
use std::time::Duration;

use suite::checker::check;
use suite::record::Evidence;
use suite::{Kind, Options};
use tokio::time::{sleep, timeout};

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_small_fleet_loses_and_doubles_nothing_whatever_breaks() {
    let chosen = [Kind::KillWorker, Kind::KillRedis, Kind::FreezeWorker, Kind::KillRabbit];
    let options = Options {
        seed: 5,
        accounts: 12,
        workers: 2,
        lease_s: 3,
        rate: 5.0,
        longest: Duration::from_mins(1),
        faults: Kind::ALL.into_iter().filter(|kind| chosen.contains(kind)).collect(),
        calm: Duration::from_secs(2),
    };
    let verdict = suite::run(options).await;
    let violations = verdict.violations;
    assert!(violations.is_empty(), "{violations:#?}; the logs are in {:?}", verdict.kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_objects_to_an_account_that_runs_twice() {
    let world = World::start(1).await;
    let (store, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let on = |store: &Path| store.to_str().unwrap().to_owned();
    let data = "TDFLEET__WORKER__DATA_DIR";
    let first = world.tdfleet(&["worker"], &[(data, &on(store.path()))]);
    let mut backend = world.backend_when_declared().await;
    backend.listen(1).await;
    world.log_in(&mut backend, 1).await;

    // Another installation gets the same database: no lease and no lock is in its way.
    copy(store.path(), copied.path());
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
