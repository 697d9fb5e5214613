//! The pending lists.

use contracts::{Flow, Properties};
use log_port::{LogPort, PendingCommand};

use super::steps::{
    account, answer, claim_head, claim_log, command_ids, completion, owner, pending, position, push,
};

pub(crate) async fn a_claim_returns_the_pending_commands_as_they_were_pushed(log: &dyn LogPort) {
    let writer = claim_log(log, owner(account(1), 7)).await;
    let properties = Properties::default();
    let bare = PendingCommand { properties, ..pending("a", position(Flow::Lo, "7-1")) };
    push(&*writer, vec![bare]).await.unwrap();
    let more =
        vec![pending("b", position(Flow::Hi, "7-2")), pending("c", position(Flow::Lo, "7-3"))];
    push(&*writer, more).await.unwrap();
    let head = claim_head(log, owner(account(1), 8)).await;
    assert_eq!(command_ids(&head), ["b", "a", "c"]);
    let [b, a, _] = &head.pending[..] else { panic!("three commands") };
    assert_eq!((a.position, b.position), (position(Flow::Lo, "7-1"), position(Flow::Hi, "7-2")));
    assert_eq!((&a.body[..], &*b.routing_key), (&b"body of a"[..], "key of b"));
    let Properties { message_id, correlation_id, reply_to, traceparent } = &b.properties;
    let properties = [message_id, correlation_id, reply_to, traceparent];
    let expected = ["message of b", "correlation of b", "reply of b", "trace of b"];
    assert_eq!(properties.map(|value| value.as_deref().unwrap()), expected);
    let properties = &a.properties;
    assert!(properties.message_id.is_none() && properties.reply_to.is_none());
}

pub(crate) async fn a_command_leaves_its_pending_list_with_its_answer(log: &dyn LogPort) {
    let token = owner(account(1), 7);
    let writer = claim_log(log, token).await;
    let [a, b, c] =
        [position(Flow::Hi, "7-1"), position(Flow::Hi, "7-2"), position(Flow::Lo, "7-1")];
    let commands = || vec![pending("a", a), pending("b", b), pending("c", c)];
    push(&*writer, commands()).await.unwrap();
    answer(&*writer, 0, completion("b", Some(b))).await.unwrap();
    answer(&*writer, 1, completion("c", Some(c))).await.unwrap();
    assert_eq!(command_ids(&claim_head(log, token).await), ["a"]);
    // What is in the list keeps its position, and what was in it does not come back.
    push(&*writer, commands()).await.unwrap();
    assert_eq!(command_ids(&claim_head(log, token).await), ["a"]);
    push(&*writer, vec![pending("d", position(Flow::Hi, "7-3"))]).await.unwrap();
    assert_eq!(command_ids(&claim_head(log, token).await), ["a", "d"]);
}

pub(crate) async fn a_command_that_is_done_does_not_become_pending(log: &dyn LogPort) {
    let token = owner(account(1), 7);
    let writer = claim_log(log, token).await;
    answer(&*writer, 0, completion("a", None)).await.unwrap();
    let commands =
        vec![pending("a", position(Flow::Hi, "7-1")), pending("b", position(Flow::Hi, "7-2"))];
    push(&*writer, commands).await.unwrap();
    assert_eq!(command_ids(&claim_head(log, token).await), ["b"]);
}

pub(crate) async fn a_command_is_removed_from_its_pending_list(log: &dyn LogPort) {
    let token = owner(account(1), 7);
    let writer = claim_log(log, token).await;
    let [a, b, c] =
        [position(Flow::Hi, "7-1"), position(Flow::Hi, "7-2"), position(Flow::Lo, "7-2")];
    let commands = || vec![pending("a", a), pending("b", b), pending("c", c)];
    push(&*writer, commands()).await.unwrap();
    writer.remove_pending(b);
    writer.remove_pending(position(Flow::Hi, "7-9"));
    assert_eq!(command_ids(&claim_head(log, token).await), ["a", "c"]);
    push(&*writer, commands()).await.unwrap();
    writer.remove_pending(a);
    writer.remove_pending(c);
    assert!(claim_head(log, token).await.pending.is_empty());
}
