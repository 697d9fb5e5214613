//! What holds for every ledger and every pending list, wherever they are kept.

use std::time::Duration;

use bytes::Bytes;
use contracts::{CommandId, Epoch, Flow, Properties};
use log_port::{
    Admission, AdmissionVerdict, CommandCompletion, CommandFingerprint, HeadField, Intent, LogHead,
    OwnerToken, PendingCommand, PendingPosition,
};
use publisher::{ClaimError, EventLog, NotStored, OnStored, Stored};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::{Place, SOON, account, all, append_all, event, id, owner, store};

pub(crate) const ONCE: Intent = Intent::Run { idempotent: false };
pub(crate) const AGAIN: Intent = Intent::Run { idempotent: true };
pub(crate) const REFUSE: Intent = Intent::Refuse;

pub(crate) fn command(id: &str) -> CommandId {
    CommandId::new(id).unwrap()
}

pub(crate) fn asked(id: &str, digest: u64, intent: Intent) -> Admission {
    Admission { command: command(id), fingerprint: CommandFingerprint(digest), intent }
}

/// Begins a command whose content is `id`'s only one.
pub(crate) async fn begin(
    log: &EventLog,
    owner: OwnerToken,
    id: &str,
    intent: Intent,
) -> Result<AdmissionVerdict, NotStored> {
    timeout(SOON, log.begin(owner, asked(id, 1, intent))).await.expect("an answer in time")
}

async fn begun(
    log: &EventLog,
    owner: OwnerToken,
    id: &str,
    intents: &[Intent],
) -> Vec<AdmissionVerdict> {
    let mut answers = Vec::new();
    for intent in intents {
        answers.push(begin(log, owner, id, *intent).await.unwrap());
    }
    answers
}

pub(crate) fn settle(id: &str, parked: Option<Spot>) -> CommandCompletion {
    let keep = Duration::from_mins(10);
    CommandCompletion { command: command(id), fingerprint: CommandFingerprint(1), keep, parked }
}

/// Answers a command by event `number`, and waits for the outcome.
pub(crate) async fn answer(
    log: &EventLog,
    owner: OwnerToken,
    number: usize,
    completion: CommandCompletion,
) -> Result<Stored, NotStored> {
    let (sender, outcome) = oneshot::channel();
    let on_stored: OnStored = Box::new(move |stored| sender.send(stored).unwrap());
    log.append(owner, event(owner.account, number), Some(completion), Some(on_stored));
    timeout(SOON, outcome).await.expect("an outcome in time").unwrap()
}

pub(crate) fn spot(flow: Flow, place: &str) -> Spot {
    Spot { flow, id: id(place) }
}

/// A parked command with every property.
pub(crate) fn parked(id: &str, place: Spot) -> PendingCommand {
    let some = |name: &str| Some(format!("{name} of {id}"));
    PendingCommand {
        place,
        command: command(id),
        body: Bytes::from(format!("body of {id}")),
        routing_key: format!("key of {id}"),
        properties: Properties {
            message_id: some("message"),
            correlation_id: some("correlation"),
            reply_to: some("reply"),
            traceparent: some("trace"),
        },
    }
}

pub(crate) async fn park(
    log: &EventLog,
    owner: OwnerToken,
    commands: Vec<PendingCommand>,
) -> Result<(), NotStored> {
    let (sender, outcome) = oneshot::channel();
    log.park(owner, commands, Box::new(move |parked| sender.send(parked).unwrap()));
    timeout(SOON, outcome).await.expect("an outcome in time").unwrap()
}

pub(crate) async fn claim(log: &EventLog, owner: OwnerToken) -> LogHead {
    timeout(SOON, log.claim(owner)).await.expect("a claim in time").unwrap()
}

/// The ids of the pending commands.
pub(crate) fn ids(claimed: &LogHead) -> Vec<&str> {
    claimed.pending.iter().map(|parked| parked.command.as_str()).collect()
}

pub(crate) async fn a_command_that_may_be_done_once_is_handed_over_once(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    assert_eq!(
        begun(&log, me, "a", &[ONCE, ONCE]).await,
        [AdmissionVerdict::Proceed, AdmissionVerdict::Dispatched]
    );
    assert_eq!(begun(&log, me, "a", &[REFUSE]).await, [AdmissionVerdict::Dispatched]);
    assert_eq!(begun(&log, me, "b", &[ONCE]).await, [AdmissionVerdict::Proceed]);
    let later = owner(account(1), 8);
    assert_eq!(begun(&log, later, "a", &[ONCE]).await, [AdmissionVerdict::Dispatched]);
    // Another account's command of the same id is another command.
    assert_eq!(begun(&log, owner(account(2), 7), "a", &[ONCE]).await, [AdmissionVerdict::Proceed]);
}

pub(crate) async fn an_idempotent_command_is_poison_at_the_third_hand_over(place: Place) {
    let (log, one) = (place.open(), account(1));
    for (epoch, expected) in [
        (7, AdmissionVerdict::Proceed),
        (8, AdmissionVerdict::Proceed),
        (9, AdmissionVerdict::Poison),
    ] {
        assert_eq!(begin(&log, owner(one, epoch), "a", AGAIN).await, Ok(expected));
    }
    assert_eq!(begin(&log, owner(one, 9), "a", AGAIN).await, Ok(AdmissionVerdict::Poison));
    assert_eq!(begin(&log, owner(one, 9), "a", REFUSE).await, Ok(AdmissionVerdict::Dispatched));
}

pub(crate) async fn a_refusal_leaves_nothing_in_the_ledger(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    assert_eq!(
        begun(&log, me, "a", &[REFUSE, REFUSE, ONCE]).await,
        [AdmissionVerdict::Proceed, AdmissionVerdict::Proceed, AdmissionVerdict::Proceed]
    );
}

pub(crate) async fn an_id_with_another_content_is_a_conflict(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    let other = async |intent| log.begin(me, asked("a", 2, intent)).await.unwrap();
    begin(&log, me, "a", AGAIN).await.unwrap();
    for intent in [ONCE, AGAIN, REFUSE] {
        assert_eq!(other(intent).await, AdmissionVerdict::Conflict);
    }
    answer(&log, me, 0, settle("a", None)).await.unwrap();
    for intent in [ONCE, AGAIN, REFUSE] {
        assert_eq!(other(intent).await, AdmissionVerdict::Conflict);
    }
}

pub(crate) async fn what_is_done_is_done_whatever_was_before(place: Place) {
    let log = place.open();
    let before = [vec![ONCE], vec![AGAIN, AGAIN, AGAIN], vec![]];
    for (one, intents) in (1..).map(account).zip(before) {
        let (me, next) = (owner(one, 7), owner(one, 8));
        begun(&log, me, "a", &intents).await;
        let event = answer(&log, me, 0, settle("a", None)).await.unwrap();
        let done = AdmissionVerdict::Done(Some(event.json));
        assert_eq!(begun(&log, me, "a", &[ONCE, AGAIN, REFUSE]).await, vec![done.clone(); 3]);
        // There is nothing to be taken back any more.
        log.leave(me, command("a"));
        assert_eq!(begin(&log, next, "a", ONCE).await, Ok(done));
    }
}

pub(crate) async fn the_answer_is_given_as_long_as_the_log_has_it(mut place: Place) {
    place.settings.max_events = 100;
    let (log, me) = (place.open(), owner(account(1), 7));
    answer(&log, me, 0, settle("a", None)).await.unwrap();
    all(append_all(&log, account(1), 7, 1..1000)).await;
    assert_eq!(begin(&log, me, "a", ONCE).await, Ok(AdmissionVerdict::Done(None)));
}

pub(crate) async fn a_hand_over_is_taken_back_once(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    log.leave(me, command("never begun"));
    begun(&log, me, "once", &[ONCE]).await;
    log.leave(me, command("once"));
    // Its content is forgotten too.
    let other = log.begin(me, asked("once", 2, ONCE)).await.unwrap();
    assert_eq!(other, AdmissionVerdict::Proceed);
    begun(&log, me, "again", &[AGAIN, AGAIN]).await;
    log.leave(me, command("again"));
    log.leave(me, command("again"));
    assert_eq!(
        begun(&log, me, "again", &[AGAIN, AGAIN]).await,
        [AdmissionVerdict::Proceed, AdmissionVerdict::Poison]
    );
}

pub(crate) async fn what_is_queued_for_an_account_keeps_its_order(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    let first = log.begin(me, asked("a", 1, ONCE));
    log.append(me, event(account(1), 0), Some(settle("a", None)), None);
    let second = log.begin(me, asked("a", 1, ONCE));
    let third = log.begin(me, asked("b", 1, ONCE));
    log.leave(me, command("b"));
    let fourth = log.begin(me, asked("b", 1, ONCE));
    let place = spot(Flow::Hi, "7-1");
    log.park(me, vec![parked("b", place)], Box::new(|_| ()));
    log.append(me, event(account(1), 1), Some(settle("b", Some(place))), None);
    let claimed = claim(&log, me).await;
    assert_eq!(first.await, Ok(AdmissionVerdict::Proceed));
    assert!(matches!(second.await, Ok(AdmissionVerdict::Done(Some(_)))));
    assert_eq!(
        (third.await, fourth.await),
        (Ok(AdmissionVerdict::Proceed), Ok(AdmissionVerdict::Proceed))
    );
    assert_eq!((claimed.last, ids(&claimed)), (Some(id("7-2")), vec![]));
}

pub(crate) async fn a_thousand_commands_at_once_are_all_asked(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    let ids: Vec<_> = (0..1300).map(|number| format!("command {number}")).collect();
    let answers: Vec<_> = ids.iter().map(|id| log.begin(me, asked(id, 1, ONCE))).collect();
    for answer in answers {
        assert_eq!(timeout(SOON, answer).await.unwrap(), Ok(AdmissionVerdict::Proceed));
    }
    let spots = (1..).map(|n| spot(Flow::Lo, &format!("7-{n}")));
    let commands = ids.iter().zip(spots).map(|(id, spot)| parked(id, spot)).collect();
    park(&log, me, commands).await.unwrap();
    assert_eq!(crate::ledger::ids(&claim(&log, me).await), ids);
}

pub(crate) async fn a_claim_gives_the_pending_commands_as_they_were_parked(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    let bare =
        PendingCommand { properties: Properties::default(), ..parked("a", spot(Flow::Lo, "7-1")) };
    park(&log, me, vec![bare]).await.unwrap();
    park(&log, me, vec![parked("b", spot(Flow::Hi, "7-2")), parked("c", spot(Flow::Lo, "7-3"))])
        .await
        .unwrap();
    let claimed = claim(&log, owner(account(1), 8)).await;
    assert_eq!(ids(&claimed), ["b", "a", "c"]);
    let [b, a, _] = &claimed.pending[..] else { panic!("three commands") };
    assert_eq!((a.place, b.place), (spot(Flow::Lo, "7-1"), spot(Flow::Hi, "7-2")));
    assert_eq!((&a.body[..], &*b.routing_key), (&b"body of a"[..], "key of b"));
    let Properties { message_id, correlation_id, reply_to, traceparent } = &b.properties;
    let properties = [message_id, correlation_id, reply_to, traceparent];
    let expected = ["message of b", "correlation of b", "reply of b", "trace of b"];
    assert_eq!(properties.map(|value| value.as_deref().unwrap()), expected);
    let properties = &a.properties;
    assert!(properties.message_id.is_none() && properties.reply_to.is_none());
}

pub(crate) async fn a_command_leaves_its_pending_list_with_its_answer(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    let spots = [spot(Flow::Hi, "7-1"), spot(Flow::Hi, "7-2"), spot(Flow::Lo, "7-1")];
    let commands =
        || ["a", "b", "c"].iter().zip(spots).map(|(id, spot)| parked(id, spot)).collect();
    park(&log, me, commands()).await.unwrap();
    answer(&log, me, 0, settle("b", Some(spots[1]))).await.unwrap();
    answer(&log, me, 1, settle("c", Some(spots[2]))).await.unwrap();
    assert_eq!(ids(&claim(&log, me).await), ["a"]);
    // What is there stays where it is, and what was there does not come back.
    park(&log, me, commands()).await.unwrap();
    assert_eq!(ids(&claim(&log, me).await), ["a"]);
    park(&log, me, vec![parked("d", spot(Flow::Hi, "7-3"))]).await.unwrap();
    assert_eq!(ids(&claim(&log, me).await), ["a", "d"]);
}

pub(crate) async fn a_command_that_is_done_is_not_parked(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    answer(&log, me, 0, settle("a", None)).await.unwrap();
    let commands = vec![parked("a", spot(Flow::Hi, "7-1")), parked("b", spot(Flow::Hi, "7-2"))];
    park(&log, me, commands).await.unwrap();
    assert_eq!(ids(&claim(&log, me).await), ["b"]);
}

pub(crate) async fn a_command_is_taken_out_of_its_pending_list(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    let spots = [spot(Flow::Hi, "7-1"), spot(Flow::Hi, "7-2"), spot(Flow::Lo, "7-2")];
    let commands =
        || ["a", "b", "c"].iter().zip(spots).map(|(id, spot)| parked(id, spot)).collect();
    park(&log, me, commands()).await.unwrap();
    log.unpark(me, spots[1]);
    log.unpark(me, spot(Flow::Hi, "7-9"));
    assert_eq!(ids(&claim(&log, me).await), ["a", "c"]);
    park(&log, me, commands()).await.unwrap();
    log.unpark(me, spots[0]);
    log.unpark(me, spots[2]);
    assert!(claim(&log, me).await.pending.is_empty());
}

pub(crate) async fn a_claim_tells_what_was_noted(place: Place) {
    let (log, one) = (place.open(), account(1));
    let fresh = claim(&log, owner(one, 7)).await;
    assert_eq!((fresh.opened, fresh.logged_in), (None, false));
    log.note(owner(one, 7), HeadField::Opened);
    log.note(owner(one, 7), HeadField::LoggedIn(true));
    let later = claim(&log, owner(one, 8)).await;
    assert_eq!((later.opened, later.logged_in), (Some(Epoch(7)), true));
    log.note(owner(one, 8), HeadField::LoggedIn(false));
    let last = claim(&log, owner(one, 9)).await;
    assert_eq!((last.opened, last.logged_in), (Some(Epoch(7)), false));
}

pub(crate) async fn an_older_owner_changes_nothing_any_more(place: Place) {
    let log = place.open();
    older_owner_changes_nothing(&log, &log).await;
}

/// `old` had the account, and `new` has it now.
pub(crate) async fn older_owner_changes_nothing(old: &EventLog, new: &EventLog) {
    let (then, now) = (owner(account(1), 7), owner(account(1), 8));
    let fenced = NotStored::Fenced { current: Epoch(8) };
    assert_eq!(begin(old, then, "handed over", ONCE).await, Ok(AdmissionVerdict::Proceed));
    let waiting = spot(Flow::Lo, "7-1");
    park(old, then, vec![parked("waiting", waiting)]).await.unwrap();
    claim(new, now).await;
    old.leave(then, command("handed over"));
    old.unpark(then, waiting);
    old.note(then, HeadField::Opened);
    old.note(then, HeadField::LoggedIn(true));
    assert_eq!(begin(old, then, "new", ONCE).await, Err(fenced));
    assert_eq!(begin(old, then, "new", REFUSE).await, Err(fenced));
    let parking = vec![parked("new", spot(Flow::Hi, "7-1"))];
    assert_eq!(park(old, then, parking).await, Err(fenced));
    assert_eq!(answer(old, then, 0, settle("new", None)).await, Err(fenced));
    assert_eq!(begin(new, now, "new", ONCE).await, Ok(AdmissionVerdict::Proceed));
    assert_eq!(begin(new, now, "handed over", ONCE).await, Ok(AdmissionVerdict::Dispatched));
    let claimed = claim(new, now).await;
    assert_eq!((claimed.opened, claimed.logged_in, claimed.last), (None, false, None));
    assert_eq!(ids(&claimed), ["waiting"]);
}

pub(crate) async fn a_stopped_ledger_answers_that_it_is_closed(place: Place) {
    let (log, me) = (place.open(), owner(account(1), 7));
    store(&log, account(1), 7, 0).await.unwrap();
    let queued = log.begin(me, asked("a", 1, ONCE));
    assert!(place.stage.drain(SOON).await);
    assert_eq!(timeout(SOON, queued).await.unwrap(), Ok(AdmissionVerdict::Proceed));
    assert_eq!(begin(&log, me, "b", ONCE).await, Err(NotStored::Closed));
    assert_eq!(park(&log, me, Vec::new()).await, Err(NotStored::Closed));
    assert_eq!(log.claim(me).await.unwrap_err(), ClaimError::Closed);
}
