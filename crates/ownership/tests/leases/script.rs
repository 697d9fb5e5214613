//! What the script decides, against the rule in words.

use contracts::Shard;
use deadpool_redis::redis::cmd;
use ownership::Change;
use serde_json::json;

use crate::support::{Fleet, LEASE};

/// `may_renew`: nobody's record, an older epoch's, or one's own.
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
        let fleet = Fleet::seeded(1);
        let mut worker = fleet.worker("first");
        let lease = worker.gained();
        let own = fleet.record(0)["owner"].clone();
        let owner = if epoch == 0 && owner.is_empty() { own.clone() } else { json!(owner) };
        let mut record = fleet.record(0);
        record["epoch"] = json!(lease.epoch.0.checked_add_signed(epoch).unwrap());
        record["owner"] = owner;
        fleet.write_record(0, &record);
        let change = worker.next_within(LEASE);
        if renewed {
            assert_eq!(change, None, "{record}");
            assert_eq!(
                (&fleet.record(0)["owner"], &fleet.record(0)["epoch"]),
                (&own, &json!(lease.epoch.0))
            );
        } else {
            assert_eq!(change, Some(Change::Lost(Shard(0))), "{record}");
            worker.ownership.release(Shard(0), false);
        }
    }
}

#[test]
fn a_record_that_cannot_be_read_is_left_alone() {
    let fleet = Fleet::seeded(2);
    fleet.ask::<()>(cmd("HSET").arg("tdfleet:{fleet}:shards").arg("s001").arg("{nonsense"));
    let mut worker = fleet.worker("first");
    assert_eq!(worker.gained().shard, Shard(0));
    assert_eq!(worker.next_within(LEASE * 2), None);
    let text: String = fleet.ask(cmd("HGET").arg("tdfleet:{fleet}:shards").arg("s001"));
    assert_eq!(text, "{nonsense");
}
