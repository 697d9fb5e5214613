//! Workers that die, and a Redis that goes away or forgets.

use std::time::{Duration, Instant};

use contracts::{Epoch, Shard};
use deadpool_redis::redis::cmd;
use ownership::Change;
use serde_json::json;
use settings::OwnershipSettings;

use crate::support::{Fleet, LEASE, Worker};

#[test]
fn what_a_crashed_process_had_is_taken_before_its_lease_is_over() {
    let fleet = Fleet::seeded(4);
    let mut first = fleet.worker("first");
    let had = first.gain(4);
    let mut second = fleet.worker("second");
    assert_eq!(second.next_within(Duration::from_millis(300)), None);
    drop(first);
    let crashed = Instant::now();
    for lease in second.gain(4) {
        let before = had.iter().find(|had| had.shard == lease.shard).unwrap();
        assert!(lease.epoch > before.epoch && !lease.clean, "{lease:?}");
    }
    assert!(crashed.elapsed() < LEASE, "{:?}", crashed.elapsed());
}

#[test]
fn a_process_that_comes_back_takes_its_own_at_once() {
    let fleet = Fleet::seeded(2);
    fleet.worker("first").gain(2);
    let began = Instant::now();
    let mut again = fleet.worker("first");
    assert!(again.gain(2).iter().all(|lease| !lease.clean));
    assert!(began.elapsed() < LEASE, "{:?}", began.elapsed());
}

#[test]
fn an_owner_under_another_kernel_is_waited_for() {
    let fleet = Fleet::seeded(1);
    fleet.worker("first").gain(1);
    let mut record = fleet.record(0);
    record["lock"] = json!("0aa0ba11-another-kernel/1/2");
    fleet.write_record(0, &record);
    let mut second = fleet.worker("second");
    let began = Instant::now();
    assert!(!second.gained().clean);
    assert!(began.elapsed() >= LEASE + Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn a_process_that_still_has_the_lock_is_waited_for_although_its_lease_is_over() {
    let fleet = Fleet::seeded(1);
    let file = std::fs::create_dir_all(fleet.store.path().join("shards"))
        .and_then(|()| std::fs::File::create(fleet.store.path().join("shards/s000")))
        .unwrap();
    file.lock().unwrap();
    let frozen = json!({
        "epoch": 5, "owner": "frozen/1", "beat": 9, "store": "", "clean": false, "lock": "",
    });
    fleet.write_record(0, &frozen);
    let mut second = fleet.worker("second");
    assert_eq!(second.next_within(LEASE * 2), None);
    drop(file);
    let lease = second.gained();
    assert!(lease.epoch > Epoch(5) && !lease.clean);
}

#[test]
fn an_owner_cut_from_redis_loses_its_shards_in_time() {
    let mut fleet = Fleet::seeded(2);
    let mut worker = fleet.worker("first");
    worker.gain(2);
    fleet.redis.kill9();
    let cut = Instant::now();
    let held = worker.waits_until_not_held(Shard(0));
    assert!(held < LEASE, "{held:?}");
    for _ in 0..2 {
        let change = worker.next();
        let Change::Lost(shard) = change else { panic!("{change:?}") };
        worker.ownership.release(shard, false);
    }
    assert!(cut.elapsed() < LEASE, "{:?}", cut.elapsed());
    // Closed is closed: the watchdog does not end this process.
    assert_eq!(worker.next_within(LEASE), None);
    let began = Instant::now();
    worker.leave();
    assert!(began.elapsed() < LEASE, "leaving does not wait for Redis");
    fleet.redis.restart();
    drop(worker);
}

#[test]
fn an_owner_takes_again_what_it_lost_once_redis_is_back() {
    let mut fleet = Fleet::seeded(1);
    fleet.redis =
        test_servers::redis::RedisServer::start_with(test_servers::redis::Persistence::AppendOnly);
    fleet.write_record(0, &json!({"epoch": 0, "owner": "", "beat": 0, "store": "", "clean": true}));
    let mut worker = fleet.worker("first");
    let had = worker.gained();
    fleet.redis.kill9();
    assert_eq!(worker.next(), Change::Lost(Shard(0)));
    worker.ownership.release(Shard(0), false);
    fleet.redis.restart();
    let back = Instant::now();
    let lease = worker.gained();
    assert!(lease.epoch > had.epoch && !lease.clean);
    assert!(back.elapsed() < LEASE, "the lock proves that it is closed: {:?}", back.elapsed());
}

#[test]
fn a_short_outage_costs_nothing() {
    let mut fleet = Fleet::seeded(2);
    let mut worker = fleet.worker("first");
    let had = worker.gain(2);
    // It comes back empty, and is told again.
    fleet.redis.restart();
    assert_eq!(worker.next_within(LEASE * 2), None);
    for lease in had {
        assert!(worker.ownership.guard().holds(lease.shard));
        assert_eq!(fleet.record(lease.shard.0)["epoch"], lease.epoch.0);
    }
}

#[test]
fn nobody_takes_what_redis_has_forgotten_while_its_owner_lives() {
    let fleet = Fleet::seeded(3);
    let mut first = fleet.worker("first");
    first.gain(3);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = fleet.worker_at("second", &fleet.redis.uri(), elsewhere.path());
    assert_eq!(second.next_within(Duration::from_millis(500)), None);
    let began = Instant::now();
    while began.elapsed() < LEASE * 3 {
        fleet.ask::<()>(&cmd("FLUSHALL"));
        assert_eq!(second.next_within(LEASE), None);
    }
    assert_eq!(first.next_within(Duration::ZERO), None, "it never lost any");
}

#[test]
fn without_any_record_the_time_of_a_lease_is_waited_for_once() {
    let fleet = Fleet::unknown(3);
    let mut worker = fleet.worker("first");
    let began = Instant::now();
    assert!(worker.gain(3).iter().all(|lease| lease.clean), "nobody ever owned them");
    let waited = began.elapsed();
    assert!((LEASE..LEASE * 3).contains(&waited), "{waited:?}");
}

#[test]
fn the_epoch_grows_although_redis_and_the_clock_know_nothing() {
    let fleet = Fleet::unknown(1);
    std::fs::create_dir_all(fleet.store.path().join("shards")).unwrap();
    std::fs::write(fleet.store.path().join("shards/s000"), "99000000000 open\n").unwrap();
    let lease = fleet.worker("first").gained();
    assert_eq!((lease.epoch, lease.clean), (Epoch(99_000_000_001), false));
}

#[test]
fn a_name_is_waited_for_until_its_worker_is_gone() {
    let fleet = Fleet::seeded(1);
    let mut first = fleet.worker("same");
    first.gained();
    let mut second = fleet.worker("same");
    let elsewhere = tempfile::tempdir().unwrap();
    let third = fleet.worker_at("same", &fleet.redis.uri(), elsewhere.path());
    assert_eq!(second.next_within(LEASE), None);
    assert_eq!(first.next_within(LEASE), None, "its lease is not touched");
    drop((first, third));
    second.gained();
}

#[test]
fn workers_without_a_name_are_numbered_on_their_store() {
    let fleet = Fleet::seeded(1);
    let start = || {
        let uri = fleet.redis.uri();
        Worker::start(OwnershipSettings::default(), &uri, fleet.store.path().to_owned(), 1)
    };
    let (first, second) = (start(), start());
    assert_eq!(second.ownership.name(), format!("{}-2", first.ownership.name()));
    let host = first.ownership.name().to_owned();
    drop(first);
    assert_eq!(start().ownership.name(), host);
}

#[test]
fn a_renewal_that_no_replica_has_does_not_count() {
    let fleet = Fleet::seeded(1);
    let settings = |replicas| OwnershipSettings {
        name: Some("first".to_owned()),
        lease_s: LEASE.as_secs(),
        replicas,
        ..OwnershipSettings::default()
    };
    let data_dir = fleet.store.path().to_owned();
    let mut worker = Worker::start(settings(1), &fleet.redis.uri(), data_dir.clone(), 1);
    assert_eq!(worker.next_within(LEASE), None, "there is no replica");
    drop(worker);
    let mut worker = Worker::start(settings(0), &fleet.redis.uri(), data_dir, 1);
    worker.gained();
}

#[test]
fn a_lease_is_renewed_when_redis_has_no_memory_left() {
    let fleet = Fleet::seeded(1);
    let mut worker = fleet.worker("first");
    let lease = worker.gained();
    let limit = cmd("CONFIG").arg("SET").arg("maxmemory").arg("1mb").take();
    fleet.ask::<()>(&limit);
    assert_eq!(worker.next_within(LEASE * 2), None);
    assert!(worker.ownership.guard().holds(lease.shard));
}
