//! What expires, on a clock that the test moves.

use std::time::Duration;

use contracts::Event;
use jiff::Timestamp;
use log_port::{AccountLog, AdmissionVerdict};
use publisher::{AccountWriter, EventLog};
use testkit::log_rules::steps::{ONCE, SOON, account, admit, completion, event};
use tokio::time::advance;

use crate::support::{LogFixture, answer, numbers, read_all, store, writer};

/// A log in memory, and the right to write account 1's.
async fn open(fixture: &LogFixture) -> (EventLog, AccountWriter) {
    let log = fixture.open();
    let writer = writer(&log, account(1), 7).await;
    (log, writer)
}

/// Appends an event, and returns the numbers of all that are kept.
async fn append(
    (log, writer): &(EventLog, AccountWriter),
    number: usize,
    occurred_at: Timestamp,
) -> Vec<usize> {
    let Event { mut meta, account, kind, body } = event(account(1), number);
    meta.occurred_at = occurred_at;
    writer.append(Event { meta, account, kind, body }, None, None);
    assert!(log.drain(SOON).await);
    numbers(&read_all(log, account).await)
}

#[tokio::test(start_paused = true)]
async fn events_that_are_too_old_are_dropped_once_a_minute() {
    let log = open(&LogFixture::in_memory()).await;
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
async fn an_event_is_kept_for_its_maximum_age() {
    let mut fixture = LogFixture::in_memory();
    fixture.settings.max_age_s = 600;
    let (log, now) = (open(&fixture).await, Timestamp::now());
    let ago = |seconds: i64| Timestamp::from_second(now.as_second() - seconds).unwrap();
    append(&log, 0, ago(660)).await;
    append(&log, 1, ago(540)).await;
    advance(Duration::from_secs(61)).await;
    assert_eq!(append(&log, 2, now).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_log_without_new_events_expires_and_its_numbering_continues() {
    let mut fixture = LogFixture::in_memory();
    fixture.settings.max_age_s = 600;
    let (log, now) = (open(&fixture).await, Timestamp::now());
    append(&log, 0, now).await;
    advance(Duration::from_mins(11)).await;
    // Another account's event: without any request nothing is swept.
    store(&writer(&log.0, account(2), 7).await, 0).await.unwrap();
    assert!(read_all(&log.0, account(1)).await.is_empty());
    let next = store(&log.1, 1).await.unwrap();
    assert_eq!(next.id.n, 2);
}

#[tokio::test(start_paused = true)]
async fn a_done_command_is_remembered_for_its_keep_time() {
    let (_log, writer) = open(&LogFixture::in_memory()).await;
    let event = answer(&writer, 0, completion("a", None)).await.unwrap();
    advance(Duration::from_secs(590)).await;
    let done = AdmissionVerdict::Done(Some(event.json));
    assert_eq!(admit(&writer, "a", ONCE).await, Ok(done));
    advance(Duration::from_secs(20)).await;
    assert_eq!(admit(&writer, "a", ONCE).await, Ok(AdmissionVerdict::Proceed));
}
