//! Which renewals the script accepts, compared with the rule in words.

use contracts::Shard;
use deadpool_redis::redis::cmd;
use ownership::OwnershipChange;
use serde_json::json;

use crate::support::{LEASE, TestFleet};

/// `may_renew`: a renewal overwrites a missing record, one of an older epoch, or its own.
#[test]
fn a_lease_is_renewed_over_older_records_and_lost_to_others() {
    let cases = [
        (0, "", true),
        (-1, "other/1", true),
        (-1, "", true),
        (0, "other/1", false),
        (1, "other/1", false),
        (1, "", false),
    ];
    for (epoch, owner, renewed) in cases {
        let fleet = TestFleet::seeded(1);
        let mut worker = fleet.worker("first");
        let lease = worker.next_lease();
        let own = fleet.record(0)["owner"].clone();
        let owner = if epoch == 0 && owner.is_empty() { own.clone() } else { json!(owner) };
        let mut record = fleet.record(0);
        record["epoch"] = json!(lease.epoch.0.checked_add_signed(epoch).unwrap());
        record["owner"] = owner;
        fleet.write_record(0, &record);
        let change = worker.next_change_within(LEASE);
        if renewed {
            assert_eq!(change, None, "{record}");
            assert_eq!(
                (&fleet.record(0)["owner"], &fleet.record(0)["epoch"]),
                (&own, &json!(lease.epoch.0))
            );
        } else {
            assert_eq!(change, Some(OwnershipChange::Lost(Shard(0))), "{record}");
            worker.ownership.release(Shard(0), false);
        }
    }
}

#[test]
fn an_unreadable_record_is_left_alone() {
    let fleet = TestFleet::seeded(2);
    fleet.query::<()>(cmd("HSET").arg("tdfleet:{fleet}:shards").arg("s001").arg("{nonsense"));
    let mut worker = fleet.worker("first");
    assert_eq!(worker.next_lease().shard, Shard(0));
    assert_eq!(worker.next_change_within(LEASE * 2), None);
    let text: String = fleet.query(cmd("HGET").arg("tdfleet:{fleet}:shards").arg("s001"));
    assert_eq!(text, "{nonsense");
}
