//! What passes with time, on a clock that the test moves.

use std::time::Duration;

use contracts::Event;
use jiff::Timestamp;
use log_port::AdmissionVerdict;
use publisher::EventLog;
use tokio::time::advance;

use crate::ledger::{ONCE, answer, begin, completion};
use crate::support::{Place, SOON, account, event, numbers, owner, read_all, store};

async fn append(log: &EventLog, number: usize, occurred_at: Timestamp) -> Vec<usize> {
    let Event { mut meta, account, kind, body } = event(account(1), number);
    meta.occurred_at = occurred_at;
    log.append(owner(account, 7), Event { meta, account, kind, body }, None, None);
    assert!(log.drain(SOON).await);
    numbers(&read_all(log, account).await)
}

#[tokio::test(start_paused = true)]
async fn events_that_are_too_old_are_dropped_once_a_minute() {
    let log = Place::in_memory().open();
    let (old, now) = (Timestamp::UNIX_EPOCH, Timestamp::now());
    assert_eq!(append(&log, 0, old).await, [0]);
    advance(Duration::from_secs(50)).await;
    assert_eq!(append(&log, 1, old).await, [0, 1]);
    advance(Duration::from_secs(11)).await;
    assert_eq!(append(&log, 2, now).await, [2]);
    assert_eq!(append(&log, 3, old).await, [2, 3]);
    advance(Duration::from_mins(2)).await;
    assert_eq!(append(&log, 4, old).await, [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_kept_for_its_time() {
    let mut place = Place::in_memory();
    place.settings.max_age_s = 600;
    let (log, now) = (place.open(), Timestamp::now());
    let ago = |seconds: i64| Timestamp::from_second(now.as_second() - seconds).unwrap();
    append(&log, 0, ago(660)).await;
    append(&log, 1, ago(540)).await;
    advance(Duration::from_secs(61)).await;
    assert_eq!(append(&log, 2, now).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_log_without_new_events_is_dropped_and_its_numbers_go_on() {
    let mut place = Place::in_memory();
    place.settings.max_age_s = 600;
    let (log, now) = (place.open(), Timestamp::now());
    append(&log, 0, now).await;
    advance(Duration::from_mins(11)).await;
    // Somebody else's event: nothing is looked at without any.
    store(&log, account(2), 7, 0).await.unwrap();
    assert!(read_all(&log, account(1)).await.is_empty());
    let next = store(&log, account(1), 7, 1).await.unwrap();
    assert_eq!(next.id.n, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_remembered_for_its_time() {
    let log = Place::in_memory().open();
    let me = owner(account(1), 7);
    let event = answer(&log, me, 0, settle("a", None)).await.unwrap();
    advance(Duration::from_secs(590)).await;
    assert_eq!(begin(&log, me, "a", ONCE).await, Ok(AdmissionVerdict::Done(Some(event.json))));
    advance(Duration::from_secs(20)).await;
    assert_eq!(begin(&log, me, "a", ONCE).await, Ok(AdmissionVerdict::Proceed));
}
