//! Shards that move from worker to worker without any fault.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use contracts::{Names, Shard};
use ownership::{FleetClient, Lease, OwnershipChange};

use crate::support::{LEASE, PATIENCE, TestFleet, TestWorker};

fn shards(leases: &[Lease]) -> BTreeSet<Shard> {
    leases.iter().map(|lease| lease.shard).collect()
}

/// Hands over shards of `from` as requested, until `to` has acquired `count`.
fn move_shards(from: &mut TestWorker, to: &mut TestWorker, count: usize) -> Vec<Lease> {
    let mut moved = Vec::new();
    let began = Instant::now();
    while moved.len() < count {
        assert!(began.elapsed() < PATIENCE, "moved so far: {moved:?}");
        match from.next_change_within(Duration::from_millis(50)) {
            Some(OwnershipChange::HandOverRequested(shard)) => from.ownership.release(shard, true),
            None => {}
            other => panic!("{other:?}"),
        }
        match to.next_change_within(Duration::from_millis(50)) {
            Some(OwnershipChange::Acquired(lease)) => moved.push(lease),
            None => {}
            other => panic!("{other:?}"),
        }
    }
    moved
}

#[test]
fn a_new_worker_gets_its_share_one_shard_at_a_time() {
    let fleet = TestFleet::seeded(6);
    let mut first = fleet.worker("first");
    let began = Instant::now();
    let had = first.next_leases(6);
    assert!(began.elapsed() < LEASE, "free shards are acquired at once");
    assert!(had.iter().all(|lease| lease.clean));
    let mut second = fleet.worker("second");
    let moved = move_shards(&mut first, &mut second, 3);
    for lease in &moved {
        let before = had.iter().find(|had| had.shard == lease.shard).unwrap();
        assert!(lease.epoch > before.epoch && lease.clean);
        assert!(!first.ownership.guard().holds(lease.shard));
        assert!(second.ownership.guard().holds(lease.shard));
    }
    assert_eq!(first.next_change_within(LEASE), None, "three each is fair");
}

#[test]
fn a_leaving_worker_hands_over_all_its_shards() {
    let fleet = TestFleet::seeded(4);
    let mut first = fleet.worker("first");
    let had = first.next_leases(4);
    let mut second = fleet.worker("second");
    let moved = move_shards(&mut first, &mut second, 2);
    first.leave();
    for lease in had.iter().filter(|lease| !moved.contains(lease)) {
        first.ownership.release(lease.shard, lease.shard.0 % 2 == 0);
    }
    let rest: Vec<Lease> = second.next_leases(2);
    assert_eq!(shards(&rest).union(&shards(&moved)).count(), 4);
    for lease in &rest {
        assert_eq!(lease.clean, lease.shard.0 % 2 == 0, "as it was released");
    }
    first.stop();
    let workers: Vec<String> =
        fleet.query(deadpool_redis::redis::cmd("HKEYS").arg("tdfleet:{fleet}:workers"));
    assert_eq!(workers, ["second"]);
    assert_eq!(second.next_change_within(LEASE), None);
}

#[test]
fn a_shard_moves_to_the_worker_it_is_pinned_to() {
    let fleet = TestFleet::seeded(2);
    let mut first = fleet.worker("first");
    first.next_leases(2);
    let mut second = fleet.worker("second");
    let moved = move_shards(&mut first, &mut second, 1).remove(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut operator =
        FleetClient::new(&fleet.redis.uri().into(), LEASE, Names::default()).unwrap();
    runtime.block_on(operator.pin(moved.shard, Some("first"))).unwrap();
    // The other shard moves the other way, so that each worker has one.
    let mut home = None;
    while home.is_none() {
        if let Some(OwnershipChange::HandOverRequested(shard)) =
            first.next_change_within(Duration::from_millis(50))
        {
            first.ownership.release(shard, true);
        }
        match second.next_change_within(Duration::from_millis(50)) {
            Some(OwnershipChange::HandOverRequested(shard)) => {
                assert_eq!(shard, moved.shard);
                second.ownership.release(shard, true);
                home = Some(first.next_lease());
            }
            Some(OwnershipChange::Acquired(_)) | None => {}
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
    let is_live = view.workers.iter().any(|worker| worker.name == "second" && worker.live);
    assert!(!is_live, "the worker has ended");
    runtime.block_on(operator.pin(moved.shard, None)).unwrap();
    assert_eq!(runtime.block_on(operator.view()).unwrap().shards[0].pin, None);
}

#[test]
fn shards_move_away_from_a_worker_that_cannot_reach_rabbitmq() {
    let fleet = TestFleet::seeded(3);
    let mut first = fleet.worker("first");
    first.next_leases(3);
    let mut second = fleet.worker("second");
    move_shards(&mut first, &mut second, 1);
    first.ownership.set_bus_reachable(false);
    move_shards(&mut first, &mut second, 2);
    second.ownership.set_bus_reachable(false);
    let (first_has, second_has) =
        (first.next_change_within(LEASE), second.next_change_within(LEASE));
    assert!(
        !matches!(first_has, Some(OwnershipChange::Acquired(_)))
            && !matches!(second_has, Some(OwnershipChange::Lost(_))),
        "nothing is lost if no worker can reach it: {first_has:?} {second_has:?}"
    );
}

#[test]
fn a_worker_never_acquires_shards_of_another_store() {
    let fleet = TestFleet::seeded(2);
    let mut first = fleet.worker("first");
    first.next_leases(2);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = fleet.worker_at("second", &fleet.redis.uri(), elsewhere.path());
    assert_eq!(first.next_change_within(LEASE), None, "no hand-over is requested");
    for shard in [Shard(0), Shard(1)] {
        first.ownership.release(shard, true);
    }
    first.leave();
    assert_eq!(second.next_change_within(LEASE * 2), None, "the shards are bound to their store");
}
