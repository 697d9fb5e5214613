//! What someone else has written to Redis under a worker's name does not count.

use contracts::{Epoch, Flow};
use log_port::{HeadField, NotStored};
use testkit::log_rules::steps::{
    account, claim, claim_head, command_ids, owner, pending, position, push,
};

use crate::redis::Cli;
use crate::support::{claim_last, on_redis, store, writer};

const PENDING: &str = "tdfleet:{1}:pending:cmd_hi";
const QUARANTINE: &str = "tdfleet:{1}:quarantine";
const HEAD: &str = "tdfleet:{1}:head";

/// The ids of a stream's entries.
async fn ids(cli: &mut Cli, key: &str) -> Vec<String> {
    let entries: Vec<(String, Vec<String>)> = cli.ask(&format!("XRANGE {key} - +")).await;
    entries.into_iter().map(|(id, _)| id).collect()
}

#[tokio::test]
async fn a_pending_command_that_no_owner_wrote_is_set_aside_and_never_run() {
    let (_fixture, log, mut cli) = on_redis().await;
    let token = owner(account(1), 7);
    let first = claim(&log, token).await.0;
    let own =
        || vec![pending("a", position(Flow::Hi, "7-1")), pending("b", position(Flow::Hi, "7-2"))];
    push(&*first, own()).await.unwrap();
    // Another command, one without anything, the account's own one at another place, and one with an
    // id that would keep every later command out of the list.
    let (_, fields): (String, Vec<String>) =
        cli.ask::<Vec<_>>(&format!("XRANGE {PENDING} 7-1 7-1")).await.remove(0);
    let copy: Vec<_> = fields.iter().map(|word| word.replace(' ', "_")).collect();
    cli.send(&format!(
        "XADD {PENDING} 7-3 i evil k cmd_hi.s055.acc.1.x b {{}} s {}",
        "0".repeat(32)
    ))
    .await;
    cli.send(&format!("XADD {PENDING} 7-4 x y")).await;
    cli.send(&format!("XADD {PENDING} 7-5 {}", copy.join(" "))).await;
    cli.send(&format!("XADD {PENDING} 99999999999-1 i evil k x b {{}}")).await;

    let next = owner(account(1), 8);
    let (second, head) = claim(&log, next).await;
    assert_eq!((command_ids(&head), head.foreign), (vec!["a", "b"], 4));
    assert_eq!(log.counters().foreign, 4);
    assert_eq!(ids(&mut cli, PENDING).await, ["7-1", "7-2"]);
    assert_eq!(ids(&mut cli, QUARANTINE).await.len(), 4);
    push(&*second, vec![pending("c", position(Flow::Hi, "8-1"))]).await.unwrap();
    let head = claim_head(&log, next).await;
    assert_eq!((command_ids(&head), head.foreign), (vec!["a", "b", "c"], 0));
}

#[tokio::test]
async fn a_pending_command_of_another_account_is_foreign() {
    let (_fixture, log, mut cli) = on_redis().await;
    let other = claim(&log, owner(account(2), 7)).await.0;
    push(&*other, vec![pending("a", position(Flow::Hi, "7-1"))]).await.unwrap();
    cli.send(&format!("COPY tdfleet:{{2}}:pending:cmd_hi {PENDING}")).await;
    let head = claim_head(&log, owner(account(1), 8)).await;
    assert_eq!((command_ids(&head), head.foreign), (vec![], 1));
    assert_eq!(claim_head(&log, owner(account(2), 8)).await.foreign, 0);
}

#[tokio::test]
async fn an_epoch_that_no_owner_wrote_is_taken_back_and_fences_nobody() {
    let (fixture, log, mut cli) = on_redis().await;
    let one = writer(&log, account(1), 7).await;
    store(&one, 0).await.unwrap();
    // The code of another account's epoch is no code either.
    writer(&log, account(2), 9_999).await;
    let code: String = cli.ask("HGET tdfleet:{2}:head epoch_mac").await;
    for forged in ["9999999999999", "nonsense", &format!("9999 epoch_mac {code}")] {
        cli.send(&format!("HSET {HEAD} epoch {forged}")).await;
        store(&one, 1).await.unwrap();
        assert_eq!(cli.ask::<String>(&format!("HGET {HEAD} epoch")).await, "7", "{forged}");
    }
    cli.send(&format!("HSET {HEAD} epoch 9999999999999")).await;
    let next = fixture.open();
    assert!(claim_last(&next, account(1), 8).await.is_some());
    // A newer owner's own claim still fences the older one.
    let fenced = NotStored::Fenced { current: Epoch(8) };
    assert_eq!(store(&one, 2).await, Err(fenced));
}

#[tokio::test]
async fn a_state_in_the_head_that_no_owner_wrote_does_not_count() {
    let (_fixture, log, mut cli) = on_redis().await;
    let token = owner(account(1), 7);
    let first = claim(&log, token).await.0;
    first.set_head_field(HeadField::Opened);
    first.set_head_field(HeadField::LoggedIn(false));
    let head = claim_head(&log, token).await;
    assert_eq!((head.opened, head.logged_in), (Some(Epoch(7)), false));
    cli.send(&format!("HSET {HEAD} opened 9 logged_in 1")).await;
    let head = claim_head(&log, token).await;
    assert_eq!((head.opened, head.logged_in), (None, false));
    first.set_head_field(HeadField::LoggedIn(true));
    assert!(claim_head(&log, token).await.logged_in);
    cli.send(&format!("HDEL {HEAD} logged_in")).await;
    assert!(!claim_head(&log, token).await.logged_in);
}
