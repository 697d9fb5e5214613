//! Replies that are lost, and what a Redis that has lost its memory is told again.

use std::time::Duration;

use contracts::{Epoch, Flow};
use log_port::{AdmissionVerdict, HeadField};
use publisher::{ClaimError, EventLog, NotStored};
use test_servers::redis::Persistence;
use tokio::time::timeout;

use crate::ledger::{
    AGAIN, ONCE, answer, begin, claim, command, completion, ids, older_owner_changes_nothing, park,
    parked, spot,
};
use crate::redis::Cli;
use crate::support::{Place, SOON, account, all, append_all, owner, store, until_connected};

async fn on_redis() -> (Place, EventLog, Cli) {
    let place = Place::on_redis();
    let (log, cli) = (place.open(), Cli::to(place.server.as_ref().unwrap()).await);
    until_connected(&log, true).await;
    (place, log, cli)
}

#[tokio::test]
async fn an_older_owner_in_another_process_changes_nothing_any_more() {
    let (place, old, _) = on_redis().await;
    older_owner_changes_nothing(&old, &place.open()).await;
}

#[tokio::test]
async fn all_that_an_older_owner_has_queued_is_fenced() {
    let (place, old, _) = on_redis().await;
    let (new, one) = (place.open(), account(1));
    store(&old, one, 7, 0).await.unwrap();
    claim(&new, owner(one, 8)).await;
    let fenced = NotStored::Fenced { current: Epoch(8) };
    // More than one call can carry, and of more than one kind.
    let events = append_all(&old, one, 7, 1..1200);
    let begun = begin(&old, owner(one, 7), "a", ONCE);
    assert!(all(events).await.iter().all(|outcome| *outcome == Err(fenced)));
    assert_eq!(begun.await, Err(fenced));
    // Its other accounts go on.
    store(&old, account(2), 7, 0).await.unwrap();
}

/// Keeps Redis busy for a quarter of a second: what comes meanwhile is carried out afterwards, the
/// first try of a client that has lost patience as well.
const BUSY: &str = "EVAL local\tfunction\tnow()\tlocal\tt=redis.call('TIME')\t\
    return\tt[1]*1000+t[2]/1000\tend\tlocal\tover=now()+250\trepeat\tuntil\tnow()>over 0";

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_counts_once_however_often_it_is_said() {
    let mut place = Place::on_redis();
    place.settings.timeout_ms = 100;
    let (log, me) = (place.open(), owner(account(1), 7));
    let mut cli = Cli::to(place.server()).await;
    until_connected(&log, true).await;
    for round in 0..4 {
        let begins = async {
            for number in 0..20 {
                let id = format!("command {round} {number}");
                for expected in
                    [AdmissionVerdict::Proceed, AdmissionVerdict::Proceed, AdmissionVerdict::Poison]
                {
                    assert_eq!(begin(&log, me, &id, AGAIN).await, Ok(expected));
                }
            }
        };
        tokio::join!(cli.tell(BUSY), begins);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_confuse_no_ledger() {
    let (_place, log, mut cli) = on_redis().await;
    let me = owner(account(1), 7);
    for round in 0..200 {
        let id = format!("command {round}");
        let begun = log.begin(me, crate::ledger::asked(&id, 1, ONCE));
        if round % 10 == 0 {
            cli.tell("CLIENT KILL TYPE normal SKIPME yes").await;
        }
        assert_eq!(timeout(SOON, begun).await.unwrap(), Ok(AdmissionVerdict::Proceed));
        if round % 2 == 0 {
            log.leave(me, command(&id));
            assert_eq!(begin(&log, me, &id, ONCE).await, Ok(AdmissionVerdict::Proceed));
        }
        let place = spot(Flow::Hi, &format!("7-{}", round + 1));
        park(&log, me, vec![parked(&id, place)]).await.unwrap();
        let event = answer(&log, me, round, settle(&id, Some(place))).await.unwrap();
        assert_eq!(begin(&log, me, &id, ONCE).await, Ok(AdmissionVerdict::Done(Some(event.json))));
    }
    assert!(claim(&log, me).await.pending.is_empty());
}

#[tokio::test]
async fn a_flushed_redis_is_told_what_is_done_before_it_is_asked() {
    let (_place, log, mut cli) = on_redis().await;
    let me = owner(account(1), 7);
    let event = answer(&log, me, 0, settle("a", None)).await.unwrap();
    cli.tell("FLUSHALL").await;
    assert_eq!(begin(&log, me, "a", ONCE).await, Ok(AdmissionVerdict::Done(Some(event.json))));
    assert_eq!(log.counters().restored, 1);
}

#[tokio::test]
async fn a_head_that_is_forgotten_without_any_event_is_claimed_again() {
    let (place, log, mut cli) = on_redis().await;
    let one = account(1);
    claim(&log, owner(one, 7)).await;
    cli.tell("FLUSHALL").await;
    assert_eq!(begin(&log, owner(one, 7), "a", ONCE).await, Ok(AdmissionVerdict::Proceed));
    let older = place.open().claim(owner(one, 6)).await;
    assert_eq!(older.unwrap_err(), ClaimError::Fenced { current: Epoch(7) });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_was_under_way_waits_until_redis_knows_what_is_done() {
    let mut place = Place::on_redis();
    let (log, me) = (place.open(), owner(account(1), 7));
    let mut cli = Cli::to(place.server()).await;
    for round in 0..3 {
        let id = format!("command {round}");
        let event = answer(&log, me, round, settle(&id, None)).await.unwrap();
        cli.tell("CLIENT PAUSE 10000").await;
        let asked = log.begin(me, crate::ledger::asked(&id, 1, ONCE));
        // The question is on its way when the next connection is refused.
        let later = log.begin(me, crate::ledger::asked("later", 1, AGAIN));
        tokio::task::yield_now().await;
        place.server().restart();
        cli = Cli::to(place.server()).await;
        let asked = timeout(SOON, asked).await.unwrap();
        assert_eq!(asked, Ok(AdmissionVerdict::Done(Some(event.json))));
        assert_eq!(timeout(SOON, later).await.unwrap(), Ok(AdmissionVerdict::Proceed));
        log.leave(me, command("later"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_forgot_hand_overs_and_notes_is_told_them_again() {
    let mut place = Place::on_redis();
    let (log, one) = (place.open(), account(1));
    let me = owner(one, 7);
    for id in ["done", "left", "under way"] {
        assert_eq!(begin(&log, me, id, ONCE).await, Ok(AdmissionVerdict::Proceed));
    }
    answer(&log, me, 0, settle("done", None)).await.unwrap();
    log.leave(me, command("left"));
    log.note(me, HeadField::Opened);
    log.note(me, HeadField::LoggedIn(true));
    assert!(log.drain(SOON).await);
    place.server().restart();
    // The owner has noticed once it has written.
    store(&log, one, 7, 1).await.unwrap();
    let (next, now) = (place.open(), owner(one, 8));
    let claimed = claim(&next, now).await;
    assert_eq!((claimed.opened, claimed.logged_in), (Some(Epoch(7)), true));
    assert_eq!(begin(&next, now, "under way", ONCE).await, Ok(AdmissionVerdict::Dispatched));
    assert_eq!(begin(&next, now, "left", ONCE).await, Ok(AdmissionVerdict::Proceed));
    assert!(matches!(begin(&next, now, "done", ONCE).await, Ok(AdmissionVerdict::Done(Some(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_not_told_again() {
    let (place, log, mut cli) = on_redis().await;
    let (one, me) = (account(1), owner(account(1), 8));
    log.note(owner(one, 7), HeadField::Opened);
    claim(&log, me).await;
    for id in ["done", "left"] {
        assert_eq!(begin(&log, me, id, ONCE).await, Ok(AdmissionVerdict::Proceed));
    }
    answer(&log, me, 0, settle("done", None)).await.unwrap();
    log.leave(me, command("left"));
    assert!(log.drain(SOON).await);
    // The mark has expired, and the next owner's note is yet to come.
    cli.tell("DEL tdfleet:{1}:cmd:done").await;
    cli.tell("HDEL tdfleet:{1}:head opened").await;
    cli.tell("CLIENT KILL TYPE normal SKIPME yes").await;
    store(&log, one, 8, 1).await.unwrap();
    let left: usize = cli.ask("EXISTS tdfleet:{1}:cmd:done tdfleet:{1}:cmd:left").await;
    assert_eq!(left, 0);
    assert_eq!(claim(&place.open(), owner(one, 9)).await.opened, None);
}

#[tokio::test]
async fn a_redis_that_lost_only_the_end_lets_go_of_what_was_answered() {
    let (place, log, mut cli) = on_redis().await;
    let (me, spot) = (owner(account(1), 7), spot(Flow::Hi, "7-1"));
    park(&log, me, vec![parked("a", spot)]).await.unwrap();
    let entry: Vec<(String, Vec<String>)> = cli.ask("XRANGE tdfleet:{1}:pending:cmd_hi - +").await;
    answer(&log, me, 0, settle("a", Some(spot))).await.unwrap();
    cli.tell("FLUSHALL").await;
    let fields: Vec<_> = entry[0].1.iter().map(|word| word.replace(' ', "_")).collect();
    cli.tell(&format!("XADD tdfleet:{{1}}:pending:cmd_hi 7-1 {}", fields.join(" "))).await;
    store(&log, account(1), 7, 1).await.unwrap();
    assert!(claim(&place.open(), owner(account(1), 8)).await.pending.is_empty());
}

#[tokio::test]
async fn whoever_parks_hears_that_redis_has_lost_its_memory() {
    let (_place, log, mut cli) = on_redis().await;
    let me = owner(account(1), 7);
    let commands = || vec![parked("a", spot(Flow::Lo, "7-1")), parked("b", spot(Flow::Lo, "7-2"))];
    store(&log, account(1), 7, 0).await.unwrap();
    park(&log, me, commands()).await.unwrap();
    let mut connected = log.connected();
    connected.mark_unchanged();
    cli.tell("FLUSHALL").await;
    store(&log, account(1), 7, 1).await.unwrap();
    assert!(connected.has_changed().unwrap());
    park(&log, me, commands()).await.unwrap();
    assert_eq!(ids(&claim(&log, me).await), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_asked_while_redis_is_away_is_answered_when_it_is_back() {
    let mut place =
        Place::on(test_servers::redis::RedisServer::start_with(Persistence::AppendOnly));
    let (log, me) = (place.open(), owner(account(1), 7));
    assert_eq!(begin(&log, me, "a", ONCE).await, Ok(AdmissionVerdict::Proceed));
    place.server().kill9();
    until_connected(&log, false).await;
    let asked = log.begin(me, crate::ledger::asked("a", 1, ONCE));
    let mut asked = Box::pin(asked);
    assert!(timeout(Duration::from_millis(200), &mut asked).await.is_err());
    place.server().restart();
    assert_eq!(timeout(SOON, asked).await.unwrap(), Ok(AdmissionVerdict::Dispatched));
}

#[tokio::test]
async fn ledger_and_lists_live_as_long_as_they_may_be_asked() {
    let (place, log, mut cli) = on_redis().await;
    let (me, month) = (owner(account(1), 7), place.settings.idle_expiry_s);
    begin(&log, me, "a", ONCE).await.unwrap();
    begin(&log, me, "b", ONCE).await.unwrap();
    answer(&log, me, 0, settle("b", None)).await.unwrap();
    park(&log, me, vec![parked("a", spot(Flow::Lo, "7-1"))]).await.unwrap();
    for (key, longest) in [("cmd:a", month), ("cmd:b", 600), ("pending:cmd_lo", month)] {
        let ttl: u64 = cli.ask(&format!("TTL tdfleet:{{1}}:{key}")).await;
        assert!((longest - 10..=longest).contains(&ttl), "{key} lives {ttl} s");
    }
}

#[tokio::test]
async fn a_log_lives_no_longer_than_its_events() {
    let mut place = Place::on_redis();
    place.settings.max_age_s = 600;
    let log = place.open();
    let mut cli = Cli::to(place.server()).await;
    store(&log, account(1), 7, 0).await.unwrap();
    let (log_ttl, head_ttl): (u64, u64) =
        (cli.ask("TTL tdfleet:{1}:log").await, cli.ask("TTL tdfleet:{1}:head").await);
    assert!((590..=600).contains(&log_ttl), "the log lives {log_ttl} s");
    assert!(1_000_000 < head_ttl, "the head lives {head_ttl} s");
    // Without its log, the head still says where to go on.
    cli.tell("DEL tdfleet:{1}:log").await;
    assert_eq!(
        claim(&place.open(), owner(account(1), 8)).await.last,
        Some(crate::support::id("7-1"))
    );
}
