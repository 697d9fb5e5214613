//! Shards that go from worker to worker while all is well.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use contracts::{Names, Shard};
use ownership::fleet;
use ownership::{Change, Lease};

use crate::support::{Fleet, LEASE, PATIENCE, Worker};

fn shards(leases: &[Lease]) -> BTreeSet<Shard> {
    leases.iter().map(|lease| lease.shard).collect()
}

/// Hands shards of `from` over as it is asked, until `to` has gained `count`.
fn move_shards(from: &mut Worker, to: &mut Worker, count: usize) -> Vec<Lease> {
    let mut moved = Vec::new();
    let began = Instant::now();
    while moved.len() < count {
        assert!(began.elapsed() < PATIENCE, "moved so far: {moved:?}");
        match from.next_within(Duration::from_millis(50)) {
            Some(Change::Asked(shard)) => from.ownership.release(shard, true),
            None => {}
            other => panic!("{other:?}"),
        }
        match to.next_within(Duration::from_millis(50)) {
            Some(Change::Gained(lease)) => moved.push(lease),
            None => {}
            other => panic!("{other:?}"),
        }
    }
    moved
}

#[test]
fn a_newcomer_gets_its_share_one_shard_after_another() {
    let fleet = Fleet::seeded(6);
    let mut first = fleet.worker("first");
    let began = Instant::now();
    let had = first.gain(6);
    assert!(began.elapsed() < LEASE, "free shards are taken at once");
    assert!(had.iter().all(|lease| lease.clean));
    let mut second = fleet.worker("second");
    let moved = move_shards(&mut first, &mut second, 3);
    for lease in &moved {
        let before = had.iter().find(|had| had.shard == lease.shard).unwrap();
        assert!(lease.epoch > before.epoch && lease.clean);
        assert!(!first.ownership.guard().holds(lease.shard));
        assert!(second.ownership.guard().holds(lease.shard));
    }
    assert_eq!(first.next_within(LEASE), None, "three each is fair");
}

#[test]
fn a_worker_that_leaves_gives_all_it_has_to_the_other() {
    let fleet = Fleet::seeded(4);
    let mut first = fleet.worker("first");
    let had = first.gain(4);
    let mut second = fleet.worker("second");
    let moved = move_shards(&mut first, &mut second, 2);
    first.leave();
    for lease in had.iter().filter(|lease| !moved.contains(lease)) {
        first.ownership.release(lease.shard, lease.shard.0 % 2 == 0);
    }
    let rest: Vec<Lease> = second.gain(2);
    assert_eq!(shards(&rest).union(&shards(&moved)).count(), 4);
    for lease in &rest {
        assert_eq!(lease.clean, lease.shard.0 % 2 == 0, "as it was released");
    }
    first.stop();
    let workers: Vec<String> =
        fleet.ask(deadpool_redis::redis::cmd("HKEYS").arg("tdfleet:{fleet}:workers"));
    assert_eq!(workers, ["second"]);
    assert_eq!(second.next_within(LEASE), None);
}

#[test]
fn a_shard_moves_to_where_the_operator_pins_it() {
    let fleet = Fleet::seeded(2);
    let mut first = fleet.worker("first");
    first.gain(2);
    let mut second = fleet.worker("second");
    let moved = move_shards(&mut first, &mut second, 1).remove(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut operator =
        fleet::Fleet::new(&fleet.redis.uri().into(), LEASE, Names::default()).unwrap();
    runtime.block_on(operator.pin(moved.shard, Some("first"))).unwrap();
    // The other one goes the other way: one each.
    let mut home = None;
    while home.is_none() {
        if let Some(Change::Asked(shard)) = first.next_within(Duration::from_millis(50)) {
            first.ownership.release(shard, true);
        }
        match second.next_within(Duration::from_millis(50)) {
            Some(Change::Asked(shard)) => {
                assert_eq!(shard, moved.shard);
                second.ownership.release(shard, true);
                home = Some(first.gained());
            }
            Some(Change::Gained(_)) | None => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(home.unwrap().shard, moved.shard);
    let view = runtime.block_on(operator.view()).unwrap();
    let shard = view.shards.iter().find(|view| view.shard == moved.shard).unwrap();
    assert_eq!((shard.owner.as_deref(), shard.live), (Some("first"), true));
    assert_eq!(shard.pin.as_deref(), Some("first"));
    let workers: Vec<_> =
        view.workers.iter().map(|worker| (worker.name.as_str(), worker.live)).collect();
    assert_eq!(workers, [("first", true), ("second", true)]);
    drop(second);
    let view = runtime.block_on(operator.view()).unwrap();
    let lives = view.workers.iter().any(|worker| worker.name == "second" && worker.live);
    assert!(!lives, "it is gone");
    runtime.block_on(operator.pin(moved.shard, None)).unwrap();
    assert_eq!(runtime.block_on(operator.view()).unwrap().shards[0].pin, None);
}

#[test]
fn shards_leave_a_worker_that_does_not_reach_rabbitmq() {
    let fleet = Fleet::seeded(3);
    let mut first = fleet.worker("first");
    first.gain(3);
    let mut second = fleet.worker("second");
    move_shards(&mut first, &mut second, 1);
    first.ownership.set_bus(false);
    move_shards(&mut first, &mut second, 2);
    second.ownership.set_bus(false);
    let (first_has, second_has) = (first.next_within(LEASE), second.next_within(LEASE));
    assert!(
        !matches!(first_has, Some(Change::Gained(_)))
            && !matches!(second_has, Some(Change::Lost(_))),
        "when nobody reaches it nothing is lost: {first_has:?} {second_has:?}"
    );
}

#[test]
fn a_worker_of_another_store_takes_nothing_of_this_one() {
    let fleet = Fleet::seeded(2);
    let mut first = fleet.worker("first");
    first.gain(2);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = fleet.worker_at("second", &fleet.redis.uri(), elsewhere.path());
    assert_eq!(first.next_within(LEASE), None, "nothing is asked for");
    for shard in [Shard(0), Shard(1)] {
        first.ownership.release(shard, true);
    }
    first.leave();
    assert_eq!(second.next_within(LEASE * 2), None, "the shards are bound to their store");
}
