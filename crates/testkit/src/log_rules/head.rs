//! What a claim returns, and what it ends.

use contracts::{Epoch, Flow};
use log_port::{AdmissionVerdict, HeadField, LogPort, NotStored};

use super::steps::{
    ONCE, REFUSE, account, admit, all, answer, append_all, claim, claim_head, claim_log, command,
    command_ids, completion, event_ids, id, owner, pending, position, push, store,
};

pub(crate) async fn a_claim_returns_the_last_event(log: &dyn LogPort) {
    let one = account(1);
    assert_eq!(claim_head(log, owner(one, 7)).await.last, None);
    let (writer, head) = claim(log, owner(one, 7)).await;
    assert_eq!(head.last, None);
    store(&*writer, 0).await.unwrap();
    let (writer, head) = claim(log, owner(one, 7)).await;
    assert_eq!(head.last, Some(id("7-1")));
    let next = store(&*writer, 1).await.unwrap();
    assert_eq!(event_ids(&next).0, id("7-2"));
    assert_eq!(claim_head(log, owner(one, 20)).await.last, Some(id("7-2")));
}

pub(crate) async fn a_claim_returns_the_epoch_that_opened_the_account(log: &dyn LogPort) {
    let one = account(1);
    let (writer, head) = claim(log, owner(one, 7)).await;
    assert_eq!(head.opened, None);
    writer.set_head_field(HeadField::Opened);
    assert_eq!(claim_head(log, owner(one, 8)).await.opened, Some(Epoch(7)));
    assert_eq!(claim_head(log, owner(one, 9)).await.opened, Some(Epoch(7)));
}

pub(crate) async fn a_claim_returns_whether_the_account_is_logged_in(log: &dyn LogPort) {
    let one = account(1);
    let (writer, head) = claim(log, owner(one, 7)).await;
    assert!(!head.logged_in);
    writer.set_head_field(HeadField::LoggedIn(true));
    let (writer, head) = claim(log, owner(one, 8)).await;
    assert!(head.logged_in);
    writer.set_head_field(HeadField::LoggedIn(false));
    assert!(!claim_head(log, owner(one, 9)).await.logged_in);
}

pub(crate) async fn an_older_epoch_is_fenced_and_its_neighbours_are_not(log: &dyn LogPort) {
    let (one, two) = (account(1), account(2));
    let fenced = NotStored::Fenced { current: Epoch(8) };
    let old = claim_log(log, owner(one, 7)).await;
    let neighbour = claim_log(log, owner(two, 7)).await;
    store(&*old, 0).await.unwrap();
    store(&*neighbour, 0).await.unwrap();
    let (new, head) = claim(log, owner(one, 8)).await;
    assert_eq!(head.last, Some(id("7-1")));
    let late = append_all(&*old, 1..3);
    let of_neighbour = append_all(&*neighbour, 1..3);
    assert_eq!(all(late).await, [Err(fenced), Err(fenced)]);
    assert!(all(of_neighbour).await.iter().all(Result::is_ok));
    assert_eq!(log.claim(owner(one, 7)).await.err(), Some(fenced));
    let next = store(&*new, 3).await.unwrap();
    assert_eq!(event_ids(&next), (id("8-1"), Some(id("7-1"))));
}

pub(crate) async fn an_older_owner_changes_nothing_any_more(log: &dyn LogPort) {
    older_owner_changes_nothing(log, log).await;
}

/// The same for two handles of one log: `old` had the account, and `new` has it now.
pub async fn older_owner_changes_nothing(old: &dyn LogPort, new: &dyn LogPort) {
    let fenced = NotStored::Fenced { current: Epoch(8) };
    let old = claim_log(old, owner(account(1), 7)).await;
    assert_eq!(admit(&*old, "dispatched", ONCE).await, Ok(AdmissionVerdict::Proceed));
    let waiting = position(Flow::Lo, "7-1");
    push(&*old, vec![pending("waiting", waiting)]).await.unwrap();
    let now = owner(account(1), 8);
    let current = claim_log(new, now).await;
    old.undo_dispatch(command("dispatched"));
    old.remove_pending(waiting);
    old.set_head_field(HeadField::Opened);
    old.set_head_field(HeadField::LoggedIn(true));
    assert_eq!(admit(&*old, "new", ONCE).await, Err(fenced));
    assert_eq!(admit(&*old, "new", REFUSE).await, Err(fenced));
    let commands = vec![pending("new", position(Flow::Hi, "7-1"))];
    assert_eq!(push(&*old, commands).await, Err(fenced));
    assert_eq!(answer(&*old, 0, completion("new", None)).await, Err(fenced));
    assert_eq!(admit(&*current, "new", ONCE).await, Ok(AdmissionVerdict::Proceed));
    assert_eq!(admit(&*current, "dispatched", ONCE).await, Ok(AdmissionVerdict::Dispatched));
    let head = claim_head(new, now).await;
    assert_eq!((head.opened, head.logged_in, head.last), (None, false, None));
    assert_eq!(command_ids(&head), ["waiting"]);
}
