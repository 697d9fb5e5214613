//! Entries and fields on Redis that no worker wrote: they are passed over, and the account goes on.

use contracts::Flow;
use log_port::{AccountLog, AdmissionVerdict};
use publisher::{EventLog, StartPosition};
use testkit::log_rules::steps::{
    ONCE, account, admit, all, append_all, claim_head, command_ids, completion, id, owner, pending,
    position, push,
};

use crate::redis::{Cli, HEAD, LOG};
use crate::support::{
    LogFixture, answer, check_chain, claim_last, next_n, numbers, on_redis, read_all, store, writer,
};

/// The ids of entries that block the next ones of an owner with epoch 7.
const LARGE_IDS: [&str; 6] = [
    "*",
    "7-2",
    "7-18446744073709551615",
    "8000000000-18446744073709551615",
    "18446744073709551615-5",
    "18446744073709551615-18446744073709551615",
];

#[tokio::test]
async fn a_log_goes_on_above_an_entry_that_no_worker_wrote() {
    for large in LARGE_IDS {
        let (fixture, log, mut cli) = on_redis().await;
        let first = writer(&log, account(1), 7).await;
        store(&first, 0).await.unwrap();
        cli.send(&format!("XADD {LOG} {large} e x")).await;
        for number in 1..4 {
            store(&first, number).await.unwrap();
        }
        // Nor does it stop the next owner, with a newer epoch and in a process of its own.
        let second = writer(&fixture.open(), account(1), 8).await;
        store(&second, 4).await.unwrap();
        let kept = read_all(&log, account(1)).await;
        assert_eq!(numbers(&kept), [0, 1, 2, 3, 4], "after {large}");
        check_chain(&kept);
        let mut follower = log.follow([(account(1), StartPosition::Beginning)]);
        assert_eq!(next_n(&mut follower, 5).await, kept, "after {large}");
    }
}

#[tokio::test]
async fn readers_pass_over_any_number_of_foreign_entries() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    let first = store(&writer, 0).await.unwrap();
    let copy = String::from_utf8(first.json.to_vec()).unwrap();
    cli.send(&format!("XADD {LOG} * e {copy}")).await;
    for _ in 0..300 {
        cli.send(&format!("XADD {LOG} * e x")).await;
    }
    cli.send_bytes(&[b"XADD", LOG.as_bytes(), b"*", b"\xff", b"\xff"]).await;
    store(&writer, 1).await.unwrap();
    let two = log.read(account(1), None, 2).await.unwrap();
    assert_eq!(numbers(&two), [0, 1]);
    let mut follower = log.follow([(account(1), StartPosition::After(first.id))]);
    assert_eq!(next_n(&mut follower, 1).await, two[1..]);
}

#[tokio::test]
async fn a_head_that_was_deleted_is_found_below_a_foreign_entry() {
    let (fixture, log, mut cli) = on_redis().await;
    let before = store(&writer(&log, account(1), 7).await, 0).await.unwrap();
    for _ in 0..150 {
        cli.send(&format!("XADD {LOG} * e x")).await;
    }
    cli.send(&format!("DEL {HEAD}")).await;
    let other = fixture.open();
    let next = store(&writer(&other, account(1), 8).await, 1).await.unwrap();
    assert_eq!(next.prev, Some(before.id));
    assert_eq!(numbers(&read_all(&other, account(1)).await), [0, 1]);
}

#[tokio::test]
async fn lost_events_do_not_stop_a_log_that_has_a_foreign_entry() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    all(append_all(&writer, 0..10)).await;
    cli.send("FLUSHALL").await;
    cli.send(&format!("XADD {LOG} * e x")).await;
    let next = store(&writer, 10).await.unwrap();
    assert_eq!(next.prev, Some(id("7-10")));
    assert_eq!(numbers(&read_all(&log, account(1)).await), [10]);
}

#[tokio::test]
async fn a_head_that_was_set_by_hand_does_not_stop_its_log() {
    for fields in [
        "last 7-1",
        "last x",
        "last 9999999999999-1",
        "last 7-99999999999999999999999",
        "epoch x",
        "epoch 99999999999999999999999999",
        "digest x",
        "opened x",
        "logged_in x",
        "pending_lo x",
    ] {
        let (fixture, log, mut cli) = on_redis().await;
        let first = writer(&log, account(1), 7).await;
        all(append_all(&first, 0..3)).await;
        cli.send(&format!("HSET {HEAD} {fields}")).await;
        store(&first, 3).await.unwrap();
        cli.send(&format!("HSET {HEAD} {fields}")).await;
        let second = writer(&fixture.open(), account(1), 8).await;
        store(&second, 4).await.unwrap();
        assert_eq!(numbers(&read_all(&log, account(1)).await), [0, 1, 2, 3, 4], "{fields}");
    }
}

#[tokio::test]
async fn what_no_worker_wrote_in_one_account_costs_no_other() {
    let (_fixture, log, mut cli) = on_redis().await;
    let [one, two] = [writer(&log, account(1), 7).await, writer(&log, account(2), 7).await];
    let mut connected = log.connected();
    assert!(*connected.borrow_and_update());
    for fields in ["epoch 1e30", "epoch 99999999999999999999", "last 7-99999999999999999999"] {
        cli.send(&format!("HSET {HEAD} {fields}")).await;
        let waiting = append_all(&one, 0..3);
        for number in 0..10 {
            store(&two, number).await.unwrap();
        }
        assert!(all(waiting).await.iter().all(Result::is_ok), "{fields}");
    }
    assert!(!connected.has_changed().unwrap(), "Redis was never given up");
}

#[tokio::test]
async fn a_pending_list_goes_on_above_an_entry_that_no_worker_wrote() {
    for large in LARGE_IDS {
        let (_fixture, log, mut cli) = on_redis().await;
        let token = owner(account(1), 7);
        let writer = writer(&log, account(1), 7).await;
        let at = |n: u64| position(Flow::Lo, &format!("7-{n}"));
        push(&writer, vec![pending("a", at(1))]).await.unwrap();
        cli.send(&format!("XADD tdfleet:{{1}}:pending:cmd_lo {large} x y")).await;
        push(&writer, vec![pending("b", at(2)), pending("c", at(3))]).await.unwrap();
        assert_eq!(command_ids(&claim_head(&log, token).await), ["a", "b", "c"], "after {large}");
        // What was in the list keeps its place, and what has left it does not come back.
        writer.remove_pending(at(2));
        push(&writer, vec![pending("a", at(1)), pending("b", at(2))]).await.unwrap();
        answer(&writer, 0, completion("a", Some(at(1)))).await.unwrap();
        assert_eq!(command_ids(&claim_head(&log, token).await), ["c"], "after {large}");
    }
}

#[tokio::test]
async fn a_pending_list_that_was_deleted_is_written_again() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    let commands = || vec![pending("a", position(Flow::Hi, "7-1"))];
    push(&writer, commands()).await.unwrap();
    cli.send("DEL tdfleet:{1}:pending:cmd_hi").await;
    push(&writer, commands()).await.unwrap();
    assert_eq!(command_ids(&claim_head(&log, owner(account(1), 7)).await), ["a"]);
}

#[tokio::test]
async fn ledger_entries_that_no_worker_wrote_count_as_none() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    cli.send("SET tdfleet:{1}:cmd:a x").await;
    cli.send("RPUSH tdfleet:{1}:cmd:b x").await;
    for command in ["a", "b"] {
        assert_eq!(admit(&writer, command, ONCE).await, Ok(AdmissionVerdict::Proceed));
        assert_eq!(admit(&writer, command, ONCE).await, Ok(AdmissionVerdict::Dispatched));
    }
}

#[tokio::test]
async fn an_answer_is_stored_although_its_pending_list_is_no_stream() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    let at = position(Flow::Hi, "7-1");
    push(&writer, vec![pending("a", at)]).await.unwrap();
    cli.send("SET tdfleet:{1}:pending:cmd_hi x").await;
    answer(&writer, 0, completion("a", Some(at))).await.unwrap();
    assert_eq!(numbers(&read_all(&log, account(1)).await), [0]);
}

#[tokio::test]
async fn a_log_of_foreign_entries_only_begins_with_the_first_event() {
    let mut fixture = LogFixture::on_redis();
    let mut cli = Cli::to(fixture.server()).await;
    cli.send(&format!("XADD {LOG} * e x")).await;
    let log: EventLog = fixture.open();
    assert_eq!(claim_last(&log, account(1), 7).await, None);
    let first = store(&writer(&log, account(1), 7).await, 0).await.unwrap();
    assert_eq!(first.prev, None);
    assert_eq!(numbers(&read_all(&log, account(1)).await), [0]);
}
