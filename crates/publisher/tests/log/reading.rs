//! Reading and following logs, wherever they are kept.

use log_port::{AccountLog, NotStored};
use publisher::{FollowedItem, StartPosition};
use testkit::log_rules::steps::{SOON, account, all, append_all, event, id, owner};
use tokio::time::timeout;

use crate::support::{
    LogFixture, all_stored, check_chain, claim_last, next, next_n, number, numbers, read_all,
    store, writer,
};

pub(crate) async fn the_log_keeps_every_event_in_order(fixture: LogFixture) {
    let (log, one) = (fixture.open(), account(1));
    assert_eq!(claim_last(&log, one, 7).await, None);
    let old = writer(&log, one, 7).await;
    let first = store(&old, 0).await.unwrap();
    assert_eq!((first.id, first.prev), (id("7-1"), None));
    let more = all_stored(append_all(&old, 1..1000)).await;
    assert_eq!(more.last().unwrap().id, id("7-1000"));
    let later = store(&writer(&log, one, 9).await, 1000).await.unwrap();
    assert_eq!((later.id, later.prev), (id("9-1"), Some(id("7-1000"))));
    let kept = read_all(&log, one).await;
    assert_eq!(numbers(&kept), (0..=1000).collect::<Vec<_>>());
    check_chain(&kept);
    assert_eq!(log.newest(one).await.unwrap(), Some(later.id));
    assert_eq!(log.counters().stored, 1001);
}

pub(crate) async fn live_and_log_carry_the_same_bytes(fixture: LogFixture) {
    let (log, one) = (fixture.open(), account(1));
    let writer = writer(&log, one, 7).await;
    store(&writer, 0).await.unwrap();
    assert_eq!(log.counters().unheard, 1);
    let mut follower = log.follow([(one, StartPosition::After(id("7-1")))]);
    let stored = store(&writer, 1).await.unwrap();
    assert_eq!(next(&mut follower).await, stored);
    // The follower has subscribed by now, so that this one is heard.
    let unheard = log.counters().unheard;
    let live = store(&writer, 2).await.unwrap();
    assert_eq!(next(&mut follower).await, live);
    assert_eq!(log.read(one, Some(id("7-1")), 10).await.unwrap(), [stored, live.clone()]);
    let json = String::from_utf8(live.json.to_vec()).unwrap();
    assert!(json.contains(r#""event_id":"7-3","prev":"7-2""#), "{json}");
    assert_eq!(log.counters().unheard, unheard);
}

pub(crate) async fn a_follower_starts_at_its_start_position(fixture: LogFixture) {
    let (log, one) = (fixture.open(), account(1));
    let writer = writer(&log, one, 7).await;
    all(append_all(&writer, 0..10)).await;
    let mut beginning = log.follow([(one, StartPosition::Beginning)]);
    assert_eq!(numbers(&next_n(&mut beginning, 10).await), (0..10).collect::<Vec<_>>());
    let mut after = log.follow([(one, StartPosition::After(id("7-4")))]);
    assert_eq!(numbers(&next_n(&mut after, 6).await), [4, 5, 6, 7, 8, 9]);
    // Where `Now` is, shows with the first event that the follower yields.
    let mut now = log.follow([(one, StartPosition::Now)]);
    let mut sent = 10;
    let first = loop {
        store(&writer, sent).await.unwrap();
        sent += 1;
        if let Ok(item) = timeout(SOON / 200, now.next()).await {
            break item.unwrap();
        }
    };
    let FollowedItem::Event(first) = first else { panic!("an event, not {first:?}") };
    assert!((10..sent).contains(&number(&first)));
    assert_eq!(number(&next(&mut beginning).await), 10);
    assert_eq!(number(&next(&mut after).await), 10);
}

pub(crate) async fn a_follower_that_joins_under_load_gets_each_event_once(fixture: LogFixture) {
    let (log, one, two) = (fixture.open(), account(1), account(2));
    let (first, second) = (writer(&log, one, 7).await, writer(&log, two, 7).await);
    let mut outcomes = append_all(&first, 0..3000);
    for _ in 0..100 {
        outcomes.recv().await.unwrap().unwrap();
    }
    let starts = [(one, StartPosition::After(id("7-50"))), (two, StartPosition::Beginning)];
    let mut follower = log.follow(starts);
    let (more, others) = (append_all(&first, 3000..4000), append_all(&second, 0..500));
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    for event in next_n(&mut follower, 3950 + 500).await {
        if event.account == one { ones.push(event) } else { twos.push(event) }
    }
    assert_eq!(numbers(&ones), (50..4000).collect::<Vec<_>>());
    assert_eq!(numbers(&twos), (0..500).collect::<Vec<_>>());
    assert_eq!((all(more).await.len(), all(others).await.len()), (1000, 500));
}

pub(crate) async fn a_slow_follower_misses_nothing(fixture: LogFixture) {
    let (log, one) = (fixture.open(), account(1));
    let writer = writer(&log, one, 7).await;
    store(&writer, 0).await.unwrap();
    let mut follower = log.follow([(one, StartPosition::Beginning)]);
    next(&mut follower).await;
    all(append_all(&writer, 1..9000)).await;
    assert_eq!(numbers(&next_n(&mut follower, 8999).await), (1..9000).collect::<Vec<_>>());
}

pub(crate) async fn a_follower_of_a_trimmed_log_gets_the_gap(mut fixture: LogFixture) {
    fixture.settings.max_events = 100;
    let (log, one) = (fixture.open(), account(1));
    all(append_all(&writer(&log, one, 7).await, 0..1000)).await;
    let kept = read_all(&log, one).await;
    assert!((100..300).contains(&kept.len()), "{} events are kept", kept.len());
    check_chain(&kept);
    let mut follower = log.follow([(one, StartPosition::After(id("7-5")))]);
    let gap = timeout(SOON, follower.next()).await.unwrap().unwrap();
    let next_id = kept[0].id;
    assert_eq!(gap, FollowedItem::Gap { account: one, after: id("7-5"), next: next_id });
    assert_eq!(next_n(&mut follower, kept.len()).await, kept);
    let mut follower = log.follow([(one, StartPosition::Beginning)]);
    assert_eq!(next(&mut follower).await, kept[0]);
}

pub(crate) async fn the_logs_of_many_accounts_keep_their_own_order(fixture: LogFixture) {
    let log = fixture.open();
    let mut writers = Vec::new();
    for one in (1..=40).map(account) {
        writers.push(writer(&log, one, 7).await);
    }
    for number in 0..50 {
        for writer in &writers {
            writer.append(event(writer.token().account, number), None, None);
        }
    }
    assert!(log.drain(SOON).await);
    for writer in &writers {
        let kept = read_all(&log, writer.token().account).await;
        assert_eq!(numbers(&kept), (0..50).collect::<Vec<_>>());
        check_chain(&kept);
    }
    assert_eq!((log.counters().stored, log.counters().queued), (2000, 0));
}

pub(crate) async fn a_stopped_log_stores_what_is_queued_and_closes(fixture: LogFixture) {
    let (log, one) = (fixture.open(), account(1));
    let writer = writer(&log, one, 7).await;
    store(&writer, 0).await.unwrap();
    let queued = append_all(&writer, 1..2000);
    let mut follower = log.follow([(one, StartPosition::Now)]);
    assert!(fixture.stage.drain(SOON).await);
    assert!(all(queued).await.iter().all(Result::is_ok));
    assert_eq!(store(&writer, 0).await, Err(NotStored::Closed));
    assert_eq!(log.claim(owner(one, 8)).await.err(), Some(NotStored::Closed));
    assert!(!log.drain(SOON).await);
    while timeout(SOON, follower.next()).await.unwrap().is_some() {}
}
