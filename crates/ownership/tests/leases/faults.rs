//! Workers that die, and a Redis that is down or loses data.

use std::time::{Duration, Instant};

use contracts::{Epoch, Shard};
use deadpool_redis::redis::cmd;
use ownership::OwnershipChange;
use serde_json::json;
use settings::OwnershipSettings;

use crate::support::{LEASE, TestFleet, TestWorker};

#[test]
fn shards_of_a_crashed_process_are_acquired_before_its_lease_ends() {
    let fleet = TestFleet::seeded(4);
    let mut first = fleet.worker("first");
    let had = first.next_leases(4);
    let mut second = fleet.worker("second");
    assert_eq!(second.next_change_within(Duration::from_millis(300)), None);
    drop(first);
    let crashed = Instant::now();
    for lease in second.next_leases(4) {
        let before = had.iter().find(|had| had.shard == lease.shard).unwrap();
        assert!(lease.epoch > before.epoch && !lease.clean, "{lease:?}");
    }
    assert!(crashed.elapsed() < LEASE, "{:?}", crashed.elapsed());
}

#[test]
fn a_restarted_process_acquires_its_own_shards_at_once() {
    let fleet = TestFleet::seeded(2);
    fleet.worker("first").next_leases(2);
    let began = Instant::now();
    let mut again = fleet.worker("first");
    assert!(again.next_leases(2).iter().all(|lease| !lease.clean));
    assert!(began.elapsed() < LEASE, "{:?}", began.elapsed());
}

#[test]
fn an_owner_on_another_kernel_keeps_its_shard_until_its_lease_ends() {
    let fleet = TestFleet::seeded(1);
    fleet.worker("first").next_leases(1);
    let mut record = fleet.record(0);
    record["lock"] = json!("0aa0ba11-another-kernel/1/2");
    fleet.write_record(0, &record);
    let mut second = fleet.worker("second");
    let began = Instant::now();
    assert!(!second.next_lease().clean);
    assert!(began.elapsed() >= LEASE + Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn a_process_that_holds_the_lock_keeps_its_shard_even_after_its_lease_ended() {
    let fleet = TestFleet::seeded(1);
    let file = std::fs::create_dir_all(fleet.store.path().join("shards"))
        .and_then(|()| std::fs::File::create(fleet.store.path().join("shards/s000")))
        .unwrap();
    file.lock().unwrap();
    let frozen = json!({
        "epoch": 5, "owner": "frozen/1", "beat": 9, "store": "", "clean": false, "lock": "",
    });
    fleet.write_record(0, &frozen);
    let mut second = fleet.worker("second");
    assert_eq!(second.next_change_within(LEASE * 2), None);
    drop(file);
    let lease = second.next_lease();
    assert!(lease.epoch > Epoch(5) && !lease.clean);
}

#[test]
fn an_owner_cut_from_redis_loses_its_shards_in_time() {
    let mut fleet = TestFleet::seeded(2);
    let mut worker = fleet.worker("first");
    worker.next_leases(2);
    fleet.redis.kill9();
    let cut = Instant::now();
    let held = worker.waits_until_not_held(Shard(0));
    assert!(held < LEASE, "{held:?}");
    for _ in 0..2 {
        let change = worker.next_change();
        let OwnershipChange::Lost(shard) = change else { panic!("{change:?}") };
        worker.ownership.release(shard, false);
    }
    assert!(cut.elapsed() < LEASE, "{:?}", cut.elapsed());
    // Everything is closed, so the watchdog does not kill this process.
    assert_eq!(worker.next_change_within(LEASE), None);
    let began = Instant::now();
    worker.leave();
    assert!(began.elapsed() < LEASE, "leaving does not wait for Redis");
    fleet.redis.restart();
    drop(worker);
}

#[test]
fn an_owner_acquires_its_lost_shard_again_once_redis_is_back() {
    let mut fleet = TestFleet::seeded(1);
    fleet.redis =
        test_servers::redis::RedisServer::start_with(test_servers::redis::Persistence::AppendOnly);
    fleet.write_record(0, &json!({"epoch": 0, "owner": "", "beat": 0, "store": "", "clean": true}));
    let mut worker = fleet.worker("first");
    let had = worker.next_lease();
    fleet.redis.kill9();
    assert_eq!(worker.next_change(), OwnershipChange::Lost(Shard(0)));
    worker.ownership.release(Shard(0), false);
    fleet.redis.restart();
    let back = Instant::now();
    let lease = worker.next_lease();
    assert!(lease.epoch > had.epoch && !lease.clean);
    assert!(back.elapsed() < LEASE, "the lock proves that it is closed: {:?}", back.elapsed());
}

#[test]
fn a_short_outage_of_redis_loses_no_shard() {
    let mut fleet = TestFleet::seeded(2);
    let mut worker = fleet.worker("first");
    let had = worker.next_leases(2);
    // It comes back empty, and the owner writes the records again.
    fleet.redis.restart();
    assert_eq!(worker.next_change_within(LEASE * 2), None);
    for lease in had {
        assert!(worker.ownership.guard().holds(lease.shard));
        assert_eq!(fleet.record(lease.shard.0)["epoch"], lease.epoch.0);
    }
}

#[test]
fn no_worker_acquires_forgotten_shards_while_their_owner_is_alive() {
    let fleet = TestFleet::seeded(3);
    let mut first = fleet.worker("first");
    first.next_leases(3);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = fleet.worker_at("second", &fleet.redis.uri(), elsewhere.path());
    assert_eq!(second.next_change_within(Duration::from_millis(500)), None);
    let began = Instant::now();
    while began.elapsed() < LEASE * 3 {
        fleet.query::<()>(&cmd("FLUSHALL"));
        assert_eq!(second.next_change_within(LEASE), None);
    }
    assert_eq!(first.next_change_within(Duration::ZERO), None, "it never lost any");
}

#[test]
fn without_any_record_a_worker_waits_for_one_lease() {
    let fleet = TestFleet::unknown(3);
    let mut worker = fleet.worker("first");
    let began = Instant::now();
    assert!(worker.next_leases(3).iter().all(|lease| lease.clean), "they never had an owner");
    let waited = began.elapsed();
    assert!((LEASE..LEASE * 3).contains(&waited), "{waited:?}");
}

#[test]
fn the_epoch_grows_even_if_only_the_file_records_it() {
    let fleet = TestFleet::unknown(1);
    std::fs::create_dir_all(fleet.store.path().join("shards")).unwrap();
    std::fs::write(fleet.store.path().join("shards/s000"), "99000000000 open\n").unwrap();
    let lease = fleet.worker("first").next_lease();
    assert_eq!((lease.epoch, lease.clean), (Epoch(99_000_000_001), false));
}

#[test]
fn a_worker_with_a_duplicate_name_waits_until_the_other_has_ended() {
    let fleet = TestFleet::seeded(1);
    let mut first = fleet.worker("same");
    first.next_lease();
    let mut second = fleet.worker("same");
    let elsewhere = tempfile::tempdir().unwrap();
    let third = fleet.worker_at("same", &fleet.redis.uri(), elsewhere.path());
    assert_eq!(second.next_change_within(LEASE), None);
    assert_eq!(first.next_change_within(LEASE), None, "its lease is not touched");
    drop((first, third));
    second.next_lease();
}

#[test]
fn workers_without_a_name_are_numbered_on_their_store() {
    let fleet = TestFleet::seeded(1);
    let start = || {
        let uri = fleet.redis.uri();
        TestWorker::start(OwnershipSettings::default(), &uri, fleet.store.path().to_owned(), 1)
    };
    let (first, second) = (start(), start());
    assert_eq!(second.ownership.name(), format!("{}-2", first.ownership.name()));
    let host = first.ownership.name().to_owned();
    drop(first);
    assert_eq!(start().ownership.name(), host);
}

#[test]
fn a_renewal_that_no_replica_confirms_does_not_count() {
    let fleet = TestFleet::seeded(1);
    let settings = |replicas| OwnershipSettings {
        name: Some("first".to_owned()),
        lease_s: LEASE.as_secs(),
        replicas,
        ..OwnershipSettings::default()
    };
    let data_dir = fleet.store.path().to_owned();
    let mut worker = TestWorker::start(settings(1), &fleet.redis.uri(), data_dir.clone(), 1);
    assert_eq!(worker.next_change_within(LEASE), None, "there is no replica");
    drop(worker);
    let mut worker = TestWorker::start(settings(0), &fleet.redis.uri(), data_dir, 1);
    worker.next_lease();
}

#[test]
fn a_lease_is_renewed_even_if_redis_is_out_of_memory() {
    let fleet = TestFleet::seeded(1);
    let mut worker = fleet.worker("first");
    let lease = worker.next_lease();
    let limit = cmd("CONFIG").arg("SET").arg("maxmemory").arg("1mb").take();
    fleet.query::<()>(&limit);
    assert_eq!(worker.next_change_within(LEASE * 2), None);
    assert!(worker.ownership.guard().holds(lease.shard));
}
