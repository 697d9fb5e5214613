//! One command has one answer, however often it is delivered.

use std::time::Duration;

use contracts::Flow;
use owner_worker::CommandOutcome;
use serde_json::json;
use testkit::Reply;
use tokio::time::timeout;

use super::{again, code, disconnect, event, holding, restarted, ttl};
use crate::support::{Options, PATIENCE, World};

#[tokio::test]
async fn a_duplicate_joins_a_running_or_queued_command() {
    let world = holding().await;
    let first = [world.deliver(&ttl("a", 1)), world.deliver(&ttl("b", 2))];
    world.tdlib.seen("setInactiveSessionTtl").await;
    let mut bulk = again(&ttl("a", 1));
    bulk.flow = Flow::Lo;
    let second = [world.deliver(&bulk), world.deliver(&again(&ttl("b", 2)))];
    world.tdlib.release("setInactiveSessionTtl");
    world.tdlib.seen("setInactiveSessionTtl").await;
    world.tdlib.release("setInactiveSessionTtl");
    for (first, second) in first.into_iter().zip(second) {
        assert_eq!(event(first).await, event(second).await);
    }
    assert_eq!(world.sent("setInactiveSessionTtl").len(), 2);
    for id in ["a", "b"] {
        assert_eq!(world.log.answers(1, id).len(), 1);
    }
}

#[tokio::test]
async fn duplicates_wait_for_an_answer_to_be_stored() {
    let world = World::with(Options::default()).await;
    world.tdlib.answer("disconnectAllWebsites", Reply::ok());
    world.log.hold_callbacks();
    let first = world.deliver(&disconnect("a"));
    world.tdlib.seen("disconnectAllWebsites").await;
    world.log.next(1, "disconnect_all_websites", |_| true).await;
    let mut second = world.deliver(&again(&disconnect("a")));
    assert!(second.waits());
    world.log.release_callbacks();
    let both = timeout(PATIENCE, async { (event(first).await, event(second).await) }).await;
    let (first, second) = both.unwrap();
    assert_eq!(first, second);
    assert_eq!(world.log.answers(1, "a").len(), 1);
}

#[tokio::test]
async fn a_finished_command_is_answered_with_the_same_event_by_this_owner_and_the_next() {
    let world = World::ready().await;
    world.tdlib.answer("disconnectAllWebsites", Reply::ok());
    let first = event(world.deliver(&disconnect("a"))).await;
    assert_eq!(event(world.deliver(&again(&disconnect("a")))).await, first);
    let republished = event(world.deliver(&disconnect("a"))).await;
    assert_eq!(republished, first);
    assert_eq!(world.sent("disconnectAllWebsites").len(), 1);
    let world = restarted(world).await;
    assert_eq!(event(world.deliver(&again(&disconnect("a")))).await, first);
    world.log.trim_answers();
    let trimmed = world.deliver(&again(&disconnect("a"))).outcome().await;
    assert_eq!(trimmed, Some(CommandOutcome::AnsweredBefore));
    assert_eq!(world.sent("disconnectAllWebsites").len(), 0);
    assert_eq!(world.log.answers(1, "a").len(), 1);
}

#[tokio::test]
async fn an_id_belongs_to_one_command_only() {
    let world = holding().await;
    let running = world.deliver(&ttl("a", 1));
    world.tdlib.seen("setInactiveSessionTtl").await;
    let payload = world.deliver(&ttl("a", 2)).payload().await;
    assert_eq!(payload["error"], "command_id was used for another command");
    assert_eq!(payload["error_info"]["code"], "invalid_request");
    world.tdlib.release("setInactiveSessionTtl");
    let first = event(running).await;
    assert_eq!(code(world.deliver(&ttl("a", 2))).await, "invalid_request");
    let mut refused = ttl("a", 1);
    refused.body["x"] = json!(1);
    assert_eq!(
        world.deliver(&refused).error().await,
        "command_id was used for another command",
        "a rejection does not complete it either"
    );
    assert_eq!(
        event(world.deliver(&ttl("a", 1))).await,
        first,
        "the id still belongs to the first command"
    );
    let world = restarted(world).await;
    assert_eq!(code(world.deliver(&again(&ttl("a", 2)))).await, "invalid_request");
    assert_eq!(event(world.deliver(&ttl("a", 1))).await, first);
    assert_eq!(world.methods(), Vec::<String>::new());
}

#[tokio::test]
async fn the_ledger_remembers_an_answer_until_ten_minutes_after_the_deadline() {
    let world = World::ready().await;
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok());
    let cases = [("a", "2026-11-18T11:16:40Z", 20), ("b", "2026-11-18T11:00:00Z", 10)];
    for (id, deadline, minutes) in cases {
        let mut command = ttl(id, 1);
        command.body["_meta"] = json!({"deadline": deadline});
        event(world.deliver(&command)).await;
        assert_eq!(world.log.kept_for(1, id), Some(Duration::from_mins(minutes)), "{id}");
    }
    event(world.deliver(&ttl("c", 1))).await;
    assert_eq!(world.log.kept_for(1, "c"), Some(Duration::from_mins(70)));
}
