//! Replies that are lost, and what a Redis that has lost its memory gets back.

use std::time::Duration;

use contracts::{Epoch, Flow};
use log_port::{AccountLog, AdmissionVerdict, HeadField, NotStored};
use test_servers::redis::{Persistence, RedisServer};
use testkit::log_rules::older_owner_changes_nothing;
use testkit::log_rules::steps::{
    AGAIN, ONCE, SOON, account, admission, admit, all, append_all, claim, claim_head, command,
    command_ids, completion, id, owner, pending, position, push,
};
use tokio::time::timeout;

use crate::redis::Cli;
use crate::support::{LogFixture, answer, on_redis, store, until_connected, writer};

#[tokio::test]
async fn an_older_owner_in_another_process_changes_nothing_any_more() {
    let (fixture, old, _) = on_redis().await;
    older_owner_changes_nothing(&old, &fixture.open()).await;
}

#[tokio::test]
async fn everything_that_an_older_owner_has_queued_is_fenced() {
    let (fixture, old, _) = on_redis().await;
    let (new, one) = (fixture.open(), account(1));
    let old_writer = writer(&old, one, 7).await;
    store(&old_writer, 0).await.unwrap();
    writer(&new, one, 8).await;
    let fenced = NotStored::Fenced { current: Epoch(8) };
    // More than one request can hold, and of more than one kind.
    let events = append_all(&old_writer, 1..1200);
    let verdict = admit(&old_writer, "a", ONCE);
    assert!(all(events).await.iter().all(|outcome| *outcome == Err(fenced)));
    assert_eq!(verdict.await, Err(fenced));
    // Its other accounts go on.
    store(&writer(&old, account(2), 7).await, 0).await.unwrap();
}

/// Keeps Redis busy for a quarter of a second: what arrives meanwhile is executed afterwards, even
/// the first attempt of a client that has timed out.
const BUSY: &str = "EVAL local\tfunction\tnow()\tlocal\tt=redis.call('TIME')\t\
    return\tt[1]*1000+t[2]/1000\tend\tlocal\tover=now()+250\trepeat\tuntil\tnow()>over 0";

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatch_counts_once_however_often_it_is_requested() {
    let mut fixture = LogFixture::on_redis();
    fixture.settings.timeout_ms = 100;
    let log = fixture.open();
    let mut cli = Cli::to(fixture.server()).await;
    let writer = writer(&log, account(1), 7).await;
    for round in 0..4 {
        let admissions = async {
            for number in 0..20 {
                let id = format!("command {round} {number}");
                for expected in
                    [AdmissionVerdict::Proceed, AdmissionVerdict::Proceed, AdmissionVerdict::Poison]
                {
                    assert_eq!(admit(&writer, &id, AGAIN).await, Ok(expected));
                }
            }
        };
        tokio::join!(cli.send(BUSY), admissions);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_do_not_confuse_the_ledger() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    for round in 0..200 {
        let id = format!("command {round}");
        let verdict = writer.admit(admission(&id, 1, ONCE));
        if round % 10 == 0 {
            cli.send("CLIENT KILL TYPE normal SKIPME yes").await;
        }
        assert_eq!(timeout(SOON, verdict).await.unwrap(), Ok(AdmissionVerdict::Proceed));
        if round % 2 == 0 {
            writer.undo_dispatch(command(&id));
            assert_eq!(admit(&writer, &id, ONCE).await, Ok(AdmissionVerdict::Proceed));
        }
        let at = position(Flow::Hi, &format!("7-{}", round + 1));
        push(&writer, vec![pending(&id, at)]).await.unwrap();
        let event = answer(&writer, round, completion(&id, Some(at))).await.unwrap();
        let done = AdmissionVerdict::Done(Some(event.json));
        assert_eq!(admit(&writer, &id, ONCE).await, Ok(done));
    }
    assert!(claim_head(&log, writer.token()).await.pending.is_empty());
}

#[tokio::test]
async fn a_flushed_redis_gets_back_what_is_done_before_it_is_asked() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    let event = answer(&writer, 0, completion("a", None)).await.unwrap();
    cli.send("FLUSHALL").await;
    let done = AdmissionVerdict::Done(Some(event.json));
    assert_eq!(admit(&writer, "a", ONCE).await, Ok(done));
    assert_eq!(log.counters().restored, 1);
}

#[tokio::test]
async fn a_lost_head_without_any_event_is_written_again() {
    let (fixture, log, mut cli) = on_redis().await;
    let one = account(1);
    let writer = writer(&log, one, 7).await;
    cli.send("FLUSHALL").await;
    assert_eq!(admit(&writer, "a", ONCE).await, Ok(AdmissionVerdict::Proceed));
    let older = fixture.open().claim(owner(one, 6)).await;
    assert_eq!(older.err(), Some(NotStored::Fenced { current: Epoch(7) }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_in_flight_waits_until_redis_knows_what_is_done() {
    let mut fixture = LogFixture::on_redis();
    let log = fixture.open();
    let mut cli = Cli::to(fixture.server()).await;
    let writer = writer(&log, account(1), 7).await;
    for round in 0..3 {
        let id = format!("command {round}");
        let event = answer(&writer, round, completion(&id, None)).await.unwrap();
        cli.send("CLIENT PAUSE 10000").await;
        let verdict = writer.admit(admission(&id, 1, ONCE));
        // The request is in flight when the next connection is refused.
        let later = writer.admit(admission("later", 1, AGAIN));
        tokio::task::yield_now().await;
        fixture.server().restart();
        cli = Cli::to(fixture.server()).await;
        let verdict = timeout(SOON, verdict).await.unwrap();
        assert_eq!(verdict, Ok(AdmissionVerdict::Done(Some(event.json))));
        assert_eq!(timeout(SOON, later).await.unwrap(), Ok(AdmissionVerdict::Proceed));
        writer.undo_dispatch(command("later"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_dispatches_and_head_fields_gets_them_back() {
    let mut fixture = LogFixture::on_redis();
    let (log, one) = (fixture.open(), account(1));
    let writer = writer(&log, one, 7).await;
    for id in ["done", "undone", "in flight"] {
        assert_eq!(admit(&writer, id, ONCE).await, Ok(AdmissionVerdict::Proceed));
    }
    answer(&writer, 0, completion("done", None)).await.unwrap();
    writer.undo_dispatch(command("undone"));
    writer.set_head_field(HeadField::Opened);
    writer.set_head_field(HeadField::LoggedIn(true));
    assert!(log.drain(SOON).await);
    fixture.server().restart();
    // The owner has noticed once it has written.
    store(&writer, 1).await.unwrap();
    let (next, head) = claim(&fixture.open(), owner(one, 8)).await;
    assert_eq!((head.opened, head.logged_in), (Some(Epoch(7)), true));
    assert_eq!(admit(&*next, "in flight", ONCE).await, Ok(AdmissionVerdict::Dispatched));
    assert_eq!(admit(&*next, "undone", ONCE).await, Ok(AdmissionVerdict::Proceed));
    assert!(matches!(admit(&*next, "done", ONCE).await, Ok(AdmissionVerdict::Done(Some(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_not_replayed() {
    let (fixture, log, mut cli) = on_redis().await;
    let one = account(1);
    writer(&log, one, 7).await.set_head_field(HeadField::Opened);
    let writer = writer(&log, one, 8).await;
    for id in ["done", "undone"] {
        assert_eq!(admit(&writer, id, ONCE).await, Ok(AdmissionVerdict::Proceed));
    }
    answer(&writer, 0, completion("done", None)).await.unwrap();
    writer.undo_dispatch(command("undone"));
    assert!(log.drain(SOON).await);
    // The ledger entry has expired, and the next owner has not yet opened the account.
    cli.send("DEL tdfleet:{1}:cmd:done").await;
    cli.send("HDEL tdfleet:{1}:head opened").await;
    cli.send("CLIENT KILL TYPE normal SKIPME yes").await;
    store(&writer, 1).await.unwrap();
    let entries: usize = cli.ask("EXISTS tdfleet:{1}:cmd:done tdfleet:{1}:cmd:undone").await;
    assert_eq!(entries, 0);
    assert_eq!(claim_head(&fixture.open(), owner(one, 9)).await.opened, None);
}

#[tokio::test]
async fn a_redis_that_lost_the_end_removes_answered_commands_from_its_lists() {
    let (fixture, log, mut cli) = on_redis().await;
    let (one, at) = (account(1), position(Flow::Hi, "7-1"));
    let writer = writer(&log, one, 7).await;
    push(&writer, vec![pending("a", at)]).await.unwrap();
    let entry: Vec<(String, Vec<String>)> = cli.ask("XRANGE tdfleet:{1}:pending:cmd_hi - +").await;
    answer(&writer, 0, completion("a", Some(at))).await.unwrap();
    cli.send("FLUSHALL").await;
    let fields: Vec<_> = entry[0].1.iter().map(|word| word.replace(' ', "_")).collect();
    cli.send(&format!("XADD tdfleet:{{1}}:pending:cmd_hi 7-1 {}", fields.join(" "))).await;
    store(&writer, 1).await.unwrap();
    assert!(claim_head(&fixture.open(), owner(one, 8)).await.pending.is_empty());
}

#[tokio::test]
async fn lost_pending_lists_show_as_a_reconnect_and_can_be_pushed_again() {
    let (_fixture, log, mut cli) = on_redis().await;
    let writer = writer(&log, account(1), 7).await;
    let commands =
        || vec![pending("a", position(Flow::Lo, "7-1")), pending("b", position(Flow::Lo, "7-2"))];
    store(&writer, 0).await.unwrap();
    push(&writer, commands()).await.unwrap();
    let mut connected = log.connected();
    connected.mark_unchanged();
    cli.send("FLUSHALL").await;
    store(&writer, 1).await.unwrap();
    assert!(connected.has_changed().unwrap());
    push(&writer, commands()).await.unwrap();
    assert_eq!(command_ids(&claim_head(&log, writer.token()).await), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_while_redis_is_down_gets_its_verdict_when_it_is_back() {
    let mut fixture = LogFixture::on(RedisServer::start_with(Persistence::AppendOnly));
    let log = fixture.open();
    let writer = writer(&log, account(1), 7).await;
    assert_eq!(admit(&writer, "a", ONCE).await, Ok(AdmissionVerdict::Proceed));
    fixture.server().kill9();
    until_connected(&log, false).await;
    let mut verdict = writer.admit(admission("a", 1, ONCE));
    assert!(timeout(Duration::from_millis(200), &mut verdict).await.is_err());
    fixture.server().restart();
    assert_eq!(timeout(SOON, verdict).await.unwrap(), Ok(AdmissionVerdict::Dispatched));
}

#[tokio::test]
async fn ledger_and_pending_lists_live_as_long_as_they_may_be_asked() {
    let (fixture, log, mut cli) = on_redis().await;
    let month = fixture.settings.idle_expiry_s;
    let writer = writer(&log, account(1), 7).await;
    admit(&writer, "a", ONCE).await.unwrap();
    admit(&writer, "b", ONCE).await.unwrap();
    answer(&writer, 0, completion("b", None)).await.unwrap();
    push(&writer, vec![pending("a", position(Flow::Lo, "7-1"))]).await.unwrap();
    for (key, longest) in [("cmd:a", month), ("cmd:b", 600), ("pending:cmd_lo", month)] {
        let ttl: u64 = cli.ask(&format!("TTL tdfleet:{{1}}:{key}")).await;
        assert!((longest - 10..=longest).contains(&ttl), "{key} lives {ttl} s");
    }
}

#[tokio::test]
async fn a_log_lives_no_longer_than_its_events() {
    let mut fixture = LogFixture::on_redis();
    fixture.settings.max_age_s = 600;
    let log = fixture.open();
    let mut cli = Cli::to(fixture.server()).await;
    store(&writer(&log, account(1), 7).await, 0).await.unwrap();
    let (log_ttl, head_ttl): (u64, u64) =
        (cli.ask("TTL tdfleet:{1}:log").await, cli.ask("TTL tdfleet:{1}:head").await);
    assert!((590..=600).contains(&log_ttl), "the log lives {log_ttl} s");
    assert!(1_000_000 < head_ttl, "the head lives {head_ttl} s");
    // Without its log, the head still says where to go on.
    cli.send("DEL tdfleet:{1}:log").await;
    let head = claim_head(&fixture.open(), owner(account(1), 8)).await;
    assert_eq!(head.last, Some(id("7-1")));
}
