//! What holds for every log, wherever it is kept.

use contracts::Epoch;
use publisher::{ClaimError, Followed, NotStored, Start};
use tokio::time::timeout;

use crate::support::{
    Place, SOON, account, all, append_all, check_chain, claim_last, event, id, next, next_n,
    nobody, number, numbers, owner, read_all, store,
};

pub(crate) async fn events_are_numbered_and_name_the_one_before(place: Place) {
    let (log, one) = (place.open(), account(1));
    assert_eq!(claim_last(&log, one, 7).await, None);
    let first = store(&log, one, 7, 0).await.unwrap();
    assert_eq!((first.id, first.prev), (id("7-1"), None));
    let more = all(append_all(&log, one, 7, 1..1000)).await;
    assert_eq!(more.last().unwrap().as_ref().unwrap().id, id("7-1000"));
    let later = store(&log, one, 9, 1000).await.unwrap();
    assert_eq!((later.id, later.prev), (id("9-1"), Some(id("7-1000"))));
    let kept = read_all(&log, one).await;
    assert_eq!(numbers(&kept), (0..=1000).collect::<Vec<_>>());
    check_chain(&kept);
    assert_eq!(log.newest(one).await.unwrap(), Some(later.id));
    assert_eq!(log.counters().stored, 1001);
}

pub(crate) async fn live_and_log_carry_the_same_bytes(place: Place) {
    let (log, one) = (place.open(), account(1));
    store(&log, one, 7, 0).await.unwrap();
    assert_eq!(log.counters().unheard, 1);
    let mut follower = log.follow([(one, Start::After(id("7-1")))]);
    let stored = store(&log, one, 7, 1).await.unwrap();
    assert_eq!(next(&mut follower).await, stored);
    // The follower has subscribed by now, so that this one is heard.
    let unheard = log.counters().unheard;
    let live = store(&log, one, 7, 2).await.unwrap();
    assert_eq!(next(&mut follower).await, live);
    assert_eq!(log.read(one, Some(id("7-1")), 10).await.unwrap(), [stored, live.clone()]);
    let json = String::from_utf8(live.json.to_vec()).unwrap();
    assert!(json.contains(r#""event_id":"7-3","prev":"7-2""#), "{json}");
    assert_eq!(log.counters().unheard, unheard);
}

pub(crate) async fn an_older_epoch_is_fenced_and_its_neighbours_are_not(place: Place) {
    let (log, one, two) = (place.open(), account(1), account(2));
    let fenced = NotStored::Fenced { current: Epoch(8) };
    store(&log, one, 7, 0).await.unwrap();
    store(&log, two, 7, 0).await.unwrap();
    assert_eq!(claim_last(&log, one, 8).await, Some(id("7-1")));
    let late = append_all(&log, one, 7, 1..3);
    let neighbour = append_all(&log, two, 7, 1..3);
    assert_eq!(all(late).await, [Err(fenced), Err(fenced)]);
    assert!(all(neighbour).await.iter().all(Result::is_ok));
    let current = Epoch(8);
    assert_eq!(log.claim(owner(one, 7)).await.unwrap_err(), ClaimError::Fenced { current });
    let next = store(&log, one, 8, 3).await.unwrap();
    assert_eq!((next.id, next.prev), (id("8-1"), Some(id("7-1"))));
}

pub(crate) async fn a_claim_tells_the_last_event(place: Place) {
    let (log, one) = (place.open(), account(1));
    assert_eq!(claim_last(&log, one, 7).await, None);
    assert_eq!(claim_last(&log, one, 7).await, None);
    store(&log, one, 7, 0).await.unwrap();
    assert_eq!(claim_last(&log, one, 7).await, Some(id("7-1")));
    let next = store(&log, one, 7, 1).await.unwrap();
    assert_eq!(next.id, id("7-2"));
    assert_eq!(claim_last(&log, one, 20).await, Some(id("7-2")));
}

pub(crate) async fn an_account_that_nobody_runs_is_numbered_too(place: Place) {
    let (log, one) = (place.open(), account(1));
    for number in 0..3 {
        log.append(nobody(one, 7), event(one, number), None, None);
        assert!(log.drain(SOON).await);
    }
    let kept = read_all(&log, one).await;
    assert_eq!(kept.last().unwrap().id, id("7-3"));
    check_chain(&kept);
}

pub(crate) async fn a_follower_starts_where_it_is_told(place: Place) {
    let (log, one) = (place.open(), account(1));
    all(append_all(&log, one, 7, 0..10)).await;
    let mut beginning = log.follow([(one, Start::Beginning)]);
    assert_eq!(numbers(&next_n(&mut beginning, 10).await), (0..10).collect::<Vec<_>>());
    let mut after = log.follow([(one, Start::After(id("7-4")))]);
    assert_eq!(numbers(&next_n(&mut after, 6).await), [4, 5, 6, 7, 8, 9]);
    // Where `Now` is, shows with the first event that it does not give out.
    let mut now = log.follow([(one, Start::Now)]);
    let mut sent = 10;
    let first = loop {
        store(&log, one, 7, sent).await.unwrap();
        sent += 1;
        if let Ok(item) = timeout(SOON / 200, now.next()).await {
            break item.unwrap();
        }
    };
    let Followed::Event(first) = first else { panic!("an event, not {first:?}") };
    assert!((10..sent).contains(&number(&first)));
    assert_eq!(number(&next(&mut beginning).await), 10);
    assert_eq!(number(&next(&mut after).await), 10);
}

pub(crate) async fn a_follower_that_joins_under_load_gets_each_event_once(place: Place) {
    let (log, one, two) = (place.open(), account(1), account(2));
    let mut outcomes = append_all(&log, one, 7, 0..3000);
    for _ in 0..100 {
        outcomes.recv().await.unwrap().unwrap();
    }
    let mut follower = log.follow([(one, Start::After(id("7-50"))), (two, Start::Beginning)]);
    let (more, others) = (append_all(&log, one, 7, 3000..4000), append_all(&log, two, 7, 0..500));
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    for event in next_n(&mut follower, 3950 + 500).await {
        if event.account == one { ones.push(event) } else { twos.push(event) }
    }
    assert_eq!(numbers(&ones), (50..4000).collect::<Vec<_>>());
    assert_eq!(numbers(&twos), (0..500).collect::<Vec<_>>());
    assert_eq!((all(more).await.len(), all(others).await.len()), (1000, 500));
}

pub(crate) async fn a_slow_follower_misses_nothing(place: Place) {
    let (log, one) = (place.open(), account(1));
    store(&log, one, 7, 0).await.unwrap();
    let mut follower = log.follow([(one, Start::Beginning)]);
    next(&mut follower).await;
    all(append_all(&log, one, 7, 1..9000)).await;
    assert_eq!(numbers(&next_n(&mut follower, 8999).await), (1..9000).collect::<Vec<_>>());
}

pub(crate) async fn a_trimmed_log_tells_of_the_gap(mut place: Place) {
    place.settings.max_events = 100;
    let (log, one) = (place.open(), account(1));
    all(append_all(&log, one, 7, 0..1000)).await;
    let kept = read_all(&log, one).await;
    assert!((100..300).contains(&kept.len()), "{} events are kept", kept.len());
    check_chain(&kept);
    let mut follower = log.follow([(one, Start::After(id("7-5")))]);
    let gap = timeout(SOON, follower.next()).await.unwrap().unwrap();
    let next_id = kept[0].id;
    assert_eq!(gap, Followed::Gap { account: one, after: id("7-5"), next: next_id });
    assert_eq!(next_n(&mut follower, kept.len()).await, kept);
    let mut follower = log.follow([(one, Start::Beginning)]);
    assert_eq!(next(&mut follower).await, kept[0]);
}

pub(crate) async fn many_accounts_keep_their_own_order(place: Place) {
    let log = place.open();
    let accounts: Vec<_> = (1..=40).map(account).collect();
    for number in 0..50 {
        for &account in &accounts {
            log.append(owner(account, 7), event(account, number), None, None);
        }
    }
    assert!(log.drain(SOON).await);
    for &account in &accounts {
        let kept = read_all(&log, account).await;
        assert_eq!(numbers(&kept), (0..50).collect::<Vec<_>>());
        check_chain(&kept);
    }
    assert_eq!((log.counters().stored, log.counters().queued), (2000, 0));
}

pub(crate) async fn a_stopped_log_stores_what_is_queued_and_closes(place: Place) {
    let (log, one) = (place.open(), account(1));
    store(&log, one, 7, 0).await.unwrap();
    let queued = append_all(&log, one, 7, 1..2000);
    let mut follower = log.follow([(one, Start::Now)]);
    assert!(place.stage.drain(SOON).await);
    assert!(all(queued).await.iter().all(Result::is_ok));
    assert_eq!(store(&log, one, 7, 0).await, Err(NotStored::Closed));
    assert_eq!(log.claim(owner(one, 8)).await.unwrap_err(), ClaimError::Closed);
    assert!(!log.drain(SOON).await);
    while timeout(SOON, follower.next()).await.unwrap().is_some() {}
}
