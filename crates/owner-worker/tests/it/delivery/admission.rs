//! Admission by the ledger: in order, in time, and undone if the command is not sent after all.

use contracts::Flow;
use futures_util::FutureExt;
use owner_worker::CommandOutcome;
use serde_json::json;
use testkit::Reply;

use super::{SOON, again, code, disconnect, event, holding, message, restarted, ttl};
use crate::support::objects::{session, sessions};
use crate::support::{PATIENCE, World};

#[tokio::test]
async fn admission_keeps_the_order_of_a_lane() {
    let world = World::ready().await;
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok());
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    let read = json!({"command": "get_active_sessions", "userbot_id": 1});
    let both = || (world.deliver(&ttl("a", 1)), world.submit(&read));
    let (write, read) = world.log.while_silent(1, both, async {}).await;
    write.payload().await;
    read.payload().await;
    assert_eq!(world.methods(), ["setInactiveSessionTtl", "getActiveSessions"]);
}

#[tokio::test]
async fn a_command_that_may_no_longer_run_when_the_ledger_answers_is_not_dispatched() {
    let world = holding().await;
    let mut late = disconnect("a");
    late.body["_meta"] = json!({"deadline": "2026-11-18T11:06:41Z"});
    let mut fine = ttl("b", 1);
    fine.flow = Flow::Lo;
    let both = || (world.deliver(&late), world.deliver(&fine));
    let time_passes = async { world.clock.advance_ms(1_000) };
    let (answer, fine) = world.log.while_silent(2, both, time_passes).await;
    assert_eq!(code(answer).await, "expired");
    world.tdlib.seen("setInactiveSessionTtl").await;
    world.tdlib.release("setInactiveSessionTtl");
    assert_eq!(event(fine).await["payload"]["type"], "set_inactive_session_ttl");
    assert_eq!(world.methods(), ["setInactiveSessionTtl"]);

    let mut closed = Box::pin(world.close(PATIENCE));
    let closing = async {
        assert!(closed.as_mut().now_or_never().is_none());
        // The account is closing: a new command is dropped.
        assert_eq!(world.deliver(&ttl("d", 1)).outcome().await, None);
    };
    let left = world.log.while_silent(1, || world.deliver(&disconnect("c")), closing).await;
    closed.await;
    assert_eq!(left.outcome().await, None);
    assert_eq!(world.log.dispatches(1, "c"), None);
    assert_eq!(world.methods(), ["setInactiveSessionTtl", "close"]);
}

#[tokio::test]
async fn commands_that_closing_cuts_off_without_effect_do_not_count_as_dispatched() {
    let world = holding().await;
    world.tdlib.answer("getAuthorizationState", Reply::silent());
    let idempotent = world.deliver(&ttl("a", 1));
    let mut start = message(&json!({"command": "start", "userbot_id": 1, "phone": "+15550100",
        "command_id": "b"}));
    start.flow = Flow::Lo;
    let only_read = world.deliver(&start);
    world.tdlib.seen("setInactiveSessionTtl").await;
    world.tdlib.seen("getAuthorizationState").await;
    assert_eq!([world.log.dispatches(1, "a"), world.log.dispatches(1, "b")], [Some(1); 2]);
    world.close(SOON).await;
    assert_eq!((idempotent.outcome().await, only_read.outcome().await), (None, None));
    assert_eq!([world.log.dispatches(1, "a"), world.log.dispatches(1, "b")], [None; 2]);
    assert!(world.log.answers(1, "a").is_empty() && world.log.answers(1, "b").is_empty());
}

#[tokio::test]
async fn a_silent_ledger_does_not_keep_an_account_open_beyond_its_grace() {
    let world = holding().await;
    world.log.set_answering(false);
    let refused = world.deliver(&message(&json!({"command": "nope", "userbot_id": 1})));
    let left = world.deliver(&disconnect("a"));
    world.close(SOON).await;
    assert_eq!((left.outcome().await, refused.outcome().await), (None, None));
}

#[tokio::test]
async fn a_command_that_closing_cuts_off_before_the_ledger_answers_is_run_by_the_next_owner() {
    let world = holding().await;
    let close = world.close(SOON);
    let left = world.log.while_silent(1, || world.deliver(&disconnect("a")), close).await;
    assert_eq!(left.outcome().await, None);
    let world = restarted(world).await;
    let payload = world.deliver(&again(&disconnect("a"))).payload().await;
    assert_eq!(payload["type"], "disconnect_all_websites", "{payload}");
    assert_eq!(world.methods(), ["disconnectAllWebsites"]);
}

#[tokio::test]
async fn a_command_is_not_run_once_there_is_a_newer_owner() {
    let world = World::ready().await;
    world.log.fence_account(1);
    let outcome = world.deliver(&disconnect("a")).outcome().await;
    assert!(matches!(outcome, Some(CommandOutcome::NotOwned { .. })), "{outcome:?}");
    assert!(world.sent("disconnectAllWebsites").is_empty());
}
