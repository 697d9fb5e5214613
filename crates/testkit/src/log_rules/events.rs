//! Numbering.

use contracts::Epoch;
use log_port::LogPort;
use tokio::time::timeout;

use super::steps::{
    SOON, account, all, append_all, claim, claim_log, event_ids, event_number, id, owner, store,
};

pub(crate) async fn events_are_numbered_and_name_the_one_before(log: &dyn LogPort) {
    let one = account(1);
    let (writer, head) = claim(log, owner(one, 7)).await;
    assert_eq!(head.last, None);
    let first = store(&*writer, 0).await.unwrap();
    assert_eq!(event_ids(&first), (id("7-1"), None));
    let more = all(append_all(&*writer, 1..1000)).await;
    let mut before = id("7-1");
    for (number, event) in (1..).zip(more) {
        let event = event.unwrap();
        let (event_id, prev) = event_ids(&event);
        assert_eq!((event_number(&event), prev), (number, Some(before)));
        before = event_id;
    }
    assert_eq!(before, id("7-1000"));
    let later = store(&*claim_log(log, owner(one, 9)).await, 1000).await.unwrap();
    assert_eq!(event_ids(&later), (id("9-1"), Some(before)));
}

pub(crate) async fn many_accounts_keep_their_own_order(log: &dyn LogPort) {
    let mut outcomes = Vec::new();
    let mut writers = Vec::new();
    for one in (1..=40).map(account) {
        writers.push(claim_log(log, owner(one, 7)).await);
    }
    for number in 0..50 {
        for writer in &writers {
            outcomes.push((number, append_all(&**writer, [number])));
        }
    }
    for (number, mut outcome) in outcomes {
        let event = timeout(SOON, outcome.recv()).await.unwrap().unwrap().unwrap();
        let n = u64::try_from(number).unwrap() + 1;
        let (event_id, prev) = event_ids(&event);
        assert_eq!((event_number(&event), event_id.epoch, event_id.n), (number, Epoch(7), n));
        assert_eq!(prev.map(|prev| prev.n), n.checked_sub(1).filter(|n| 0 < *n));
    }
}

pub(crate) async fn an_account_without_a_worker_is_numbered_too(log: &dyn LogPort) {
    let mut before = None;
    for number in 0..3 {
        let event = store(&*log.unserved(account(1), Epoch(7)), number).await.unwrap();
        let (event_id, prev) = event_ids(&event);
        assert_eq!(prev, before);
        before = Some(event_id);
    }
    assert_eq!(before, Some(id("7-3")));
}
