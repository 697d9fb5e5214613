//! Admissions, dispatches and completions of commands.

use contracts::Flow;
use log_port::{AdmissionVerdict, LogPort};
use tokio::time::timeout;

use super::steps::{
    AGAIN, ONCE, REFUSE, SOON, account, admission, admit, admit_each, answer, claim_head,
    claim_log, command, command_ids, completion, event, id, owner, pending, position, push,
};

pub(crate) async fn a_command_that_is_not_idempotent_is_dispatched_once(log: &dyn LogPort) {
    use AdmissionVerdict::{Dispatched, Proceed};
    let writer = claim_log(log, owner(account(1), 7)).await;
    assert_eq!(admit_each(&*writer, "a", &[ONCE, ONCE]).await, [Proceed, Dispatched]);
    assert_eq!(admit_each(&*writer, "a", &[REFUSE]).await, [Dispatched]);
    assert_eq!(admit_each(&*writer, "b", &[ONCE]).await, [Proceed]);
    let later = claim_log(log, owner(account(1), 8)).await;
    assert_eq!(admit_each(&*later, "a", &[ONCE]).await, [Dispatched]);
    // Another account's command of the same id is another command.
    let neighbour = claim_log(log, owner(account(2), 7)).await;
    assert_eq!(admit_each(&*neighbour, "a", &[ONCE]).await, [Proceed]);
}

pub(crate) async fn an_idempotent_command_is_poison_at_the_third_dispatch(log: &dyn LogPort) {
    let one = account(1);
    for (epoch, expected) in [
        (7, AdmissionVerdict::Proceed),
        (8, AdmissionVerdict::Proceed),
        (9, AdmissionVerdict::Poison),
    ] {
        let writer = claim_log(log, owner(one, epoch)).await;
        assert_eq!(admit(&*writer, "a", AGAIN).await, Ok(expected));
    }
    let writer = claim_log(log, owner(one, 9)).await;
    assert_eq!(admit(&*writer, "a", AGAIN).await, Ok(AdmissionVerdict::Poison));
    assert_eq!(admit(&*writer, "a", REFUSE).await, Ok(AdmissionVerdict::Dispatched));
}

pub(crate) async fn a_refusal_leaves_nothing_in_the_ledger(log: &dyn LogPort) {
    let writer = claim_log(log, owner(account(1), 7)).await;
    let verdicts = admit_each(&*writer, "a", &[REFUSE, REFUSE, ONCE]).await;
    assert_eq!(verdicts, vec![AdmissionVerdict::Proceed; 3]);
}

pub(crate) async fn an_id_with_another_content_is_a_conflict(log: &dyn LogPort) {
    let writer = claim_log(log, owner(account(1), 7)).await;
    let other = async |intent| writer.admit(admission("a", 2, intent)).await.unwrap();
    admit(&*writer, "a", AGAIN).await.unwrap();
    for intent in [ONCE, AGAIN, REFUSE] {
        assert_eq!(other(intent).await, AdmissionVerdict::Conflict);
    }
    answer(&*writer, 0, completion("a", None)).await.unwrap();
    for intent in [ONCE, AGAIN, REFUSE] {
        assert_eq!(other(intent).await, AdmissionVerdict::Conflict);
    }
}

pub(crate) async fn what_is_done_is_done_whatever_was_before(log: &dyn LogPort) {
    let before = [vec![ONCE], vec![AGAIN, AGAIN, AGAIN], vec![]];
    for (one, intents) in (1..).map(account).zip(before) {
        let writer = claim_log(log, owner(one, 7)).await;
        admit_each(&*writer, "a", &intents).await;
        let event = answer(&*writer, 0, completion("a", None)).await.unwrap();
        let done = AdmissionVerdict::Done(Some(event));
        let verdicts = admit_each(&*writer, "a", &[ONCE, AGAIN, REFUSE]).await;
        assert_eq!(verdicts, vec![done.clone(); 3]);
        // There is no dispatch to undo any more.
        writer.undo_dispatch(command("a"));
        let next = claim_log(log, owner(one, 8)).await;
        assert_eq!(admit(&*next, "a", ONCE).await, Ok(done));
    }
}

pub(crate) async fn a_dispatch_is_undone_once(log: &dyn LogPort) {
    use AdmissionVerdict::{Poison, Proceed};
    let writer = claim_log(log, owner(account(1), 7)).await;
    writer.undo_dispatch(command("never admitted"));
    admit_each(&*writer, "once", &[ONCE]).await;
    writer.undo_dispatch(command("once"));
    // Its content is forgotten too.
    assert_eq!(writer.admit(admission("once", 2, ONCE)).await, Ok(Proceed));
    admit_each(&*writer, "again", &[AGAIN, AGAIN]).await;
    writer.undo_dispatch(command("again"));
    writer.undo_dispatch(command("again"));
    assert_eq!(admit_each(&*writer, "again", &[AGAIN, AGAIN]).await, [Proceed, Poison]);
}

pub(crate) async fn requests_about_an_account_keep_their_order(log: &dyn LogPort) {
    let token = owner(account(1), 7);
    let writer = claim_log(log, token).await;
    let first = writer.admit(admission("a", 1, ONCE));
    writer.append(event(token.account, 0), Some(completion("a", None)), None);
    let second = writer.admit(admission("a", 1, ONCE));
    let third = writer.admit(admission("b", 1, ONCE));
    writer.undo_dispatch(command("b"));
    let fourth = writer.admit(admission("b", 1, ONCE));
    let at = position(Flow::Hi, "7-1");
    writer.push_pending(vec![pending("b", at)], Box::new(|_| ()));
    writer.append(event(token.account, 1), Some(completion("b", Some(at))), None);
    let head = claim_head(log, token).await;
    assert_eq!(first.await, Ok(AdmissionVerdict::Proceed));
    assert!(matches!(second.await, Ok(AdmissionVerdict::Done(Some(_)))));
    let verdicts = (third.await, fourth.await);
    assert_eq!(verdicts, (Ok(AdmissionVerdict::Proceed), Ok(AdmissionVerdict::Proceed)));
    assert_eq!((head.last, command_ids(&head)), (Some(id("7-2")), vec![]));
}

pub(crate) async fn a_thousand_commands_at_once_are_all_admitted(log: &dyn LogPort) {
    let token = owner(account(1), 7);
    let writer = claim_log(log, token).await;
    let ids: Vec<_> = (0..1300).map(|number| format!("command {number}")).collect();
    let verdicts: Vec<_> = ids.iter().map(|id| writer.admit(admission(id, 1, ONCE))).collect();
    for verdict in verdicts {
        assert_eq!(timeout(SOON, verdict).await.unwrap(), Ok(AdmissionVerdict::Proceed));
    }
    let positions = (1..).map(|n| position(Flow::Lo, &format!("7-{n}")));
    let commands = ids.iter().zip(positions).map(|(id, at)| pending(id, at)).collect();
    push(&*writer, commands).await.unwrap();
    assert_eq!(command_ids(&claim_head(log, token).await), ids);
}
