//! The commands of a slow lane go to the pending list, so that their messages can be acknowledged;
//! nothing else changes.

use std::time::Duration;

use contracts::{Flow, Properties, RoutingKey, ShardCount};
use log_port::{PendingCommand, PendingPosition};
use owner_worker::CommandOutcome;
use serde_json::{Value, json};
use testkit::Reply;

use crate::support::objects::{session, sessions};
use crate::support::{Answer, Message, PATIENCE, World, authorization};

/// An idempotent write of account 1 that asks for a reply.
fn ttl(id: &str, days: i64) -> Message {
    message(id, json!({"command": "set_inactive_session_ttl", "inactive_session_ttl_days": days}))
}

/// A write that is not idempotent.
fn disconnect(id: &str) -> Message {
    message(id, json!({"command": "disconnect_all_websites"}))
}

fn read(id: &str) -> Message {
    message(id, json!({"command": "get_active_sessions"}))
}

fn message(id: &str, mut body: Value) -> Message {
    body["userbot_id"] = json!(1);
    body["command_id"] = json!(id);
    let properties = Properties { reply_to: Some(format!("for-{id}")), ..Properties::default() };
    Message { body, properties, ..Message::default() }
}

fn bulk(message: Message) -> Message {
    Message { flow: Flow::Lo, ..message }
}

/// A world in which TDLib does not answer the first write yet.
async fn blocked() -> World {
    let world = World::ready().await;
    world.tdlib.answers("setInactiveSessionTtl", vec![Reply::ok().held(), Reply::ok()]);
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    world.tdlib.answer("disconnectAllWebsites", Reply::ok());
    world
}

/// The next owner after a crash, with the same log; its accounts are still opening.
async fn opening(world: World) -> World {
    let world = world.crash();
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok());
    world.tdlib.answer("disconnectAllWebsites", Reply::ok());
    world.tdlib.answer("setTdlibParameters", Reply::silent());
    world.open().await;
    world
}

/// Makes both accounts ready.
async fn open(world: &World) {
    for _ in 0..2 {
        let client = world.tdlib.seen("setTdlibParameters").await.client_id;
        world.tdlib.update(client, &authorization("authorizationStateReady"));
    }
}

async fn next_owner(world: World) -> World {
    let world = opening(world).await;
    open(&world).await;
    world
}

/// Delivers these messages and waits until the lane is slow.
async fn slow(world: &World, messages: &[Message]) -> Vec<Answer> {
    let answers = messages.iter().map(|message| world.deliver(message)).collect();
    world.tdlib.seen("setInactiveSessionTtl").await;
    world.clock.advance_ms(3_000);
    answers
}

async fn all_pending(answers: Vec<Answer>) {
    for answer in answers {
        assert_eq!(answer.outcome().await, Some(CommandOutcome::Pending));
    }
}

/// The ids of the answered commands, in the order of the log.
fn answered(world: &World) -> Vec<String> {
    let ids = world.log.events(1).into_iter().map(|event| event["_meta"]["command_id"].clone());
    ids.filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect()
}

/// The queue of each reply, and the id of its command.
fn replies(world: &World) -> Vec<(String, String)> {
    let replies = world.log.replies().into_iter().map(|(properties, payload)| {
        let id = payload["_meta"]["command_id"].as_str().unwrap().to_owned();
        (properties.reply_to.unwrap(), id)
    });
    replies.collect()
}

fn replies_to(ids: &[&str]) -> Vec<(String, String)> {
    ids.iter().map(|id| (format!("for-{id}"), (*id).to_owned())).collect()
}

/// Waits for the answer to a command.
async fn answer(world: &World, id: &str) -> Value {
    for kind in ["set_inactive_session_ttl", "disconnect_all_websites", "get_active_sessions"] {
        if let Some(answer) = world.log.answers(1, id).pop() {
            return answer;
        }
        if id.starts_with(&kind[..1]) {
            let its = |event: &Value| event["_meta"]["command_id"] == id;
            return world.log.next_event(1, kind, its).await;
        }
    }
    panic!("the id {id} does not say what the command is");
}

#[tokio::test]
async fn a_slow_lane_goes_to_the_pending_list_in_order_and_so_do_later_commands() {
    let world = blocked().await;
    let early = slow(&world, &[ttl("s-1", 1), read("g-2"), disconnect("d-3")]).await;
    let mut beside = world.deliver(&bulk(ttl("s-4", 4)));
    all_pending(early).await;
    assert_eq!(world.log.pending(Flow::Hi), ["s-1", "g-2", "d-3"]);
    all_pending(vec![world.deliver(&ttl("s-5", 5))]).await;
    assert_eq!(world.log.pending(Flow::Hi), ["s-1", "g-2", "d-3", "s-5"]);
    assert!(beside.waits(), "its lane is not slow");
    assert_eq!(replies(&world), []);
    world.tdlib.release("setInactiveSessionTtl");
    answer(&world, "s-5").await;
    beside.payload().await;
    world.log.wait_pending(Flow::Hi, &[]).await;
    assert_eq!(replies(&world), replies_to(&["s-1", "g-2", "d-3", "s-5"]));
    for id in ["s-1", "g-2", "d-3", "s-5"] {
        assert_eq!(world.log.answers(1, id).len(), 1);
    }
    assert_eq!(world.deliver(&ttl("s-6", 6)).payload().await["_meta"]["command_id"], "s-6");
    assert_eq!(world.log.pending(Flow::Lo), Vec::<String>::new());
}

#[tokio::test]
async fn the_next_owner_runs_pending_commands_in_order_before_new_ones() {
    let world = blocked().await;
    let messages = [ttl("s-1", 1), disconnect("d-2"), ttl("s-3", 3), disconnect("d-4")];
    all_pending(slow(&world, &messages).await).await;
    let world = opening(world).await;
    all_pending(vec![world.deliver(&disconnect("d-5"))]).await;
    open(&world).await;
    answer(&world, "d-5").await;
    assert_eq!(answered(&world), ["s-1", "d-2", "s-3", "d-4", "d-5"]);
    assert_eq!(replies(&world), replies_to(&["s-1", "d-2", "s-3", "d-4", "d-5"]));
    let methods = ["setInactiveSessionTtl", "disconnectAllWebsites"];
    assert_eq!(world.methods(), [methods[0], methods[1], methods[0], methods[1], methods[1]]);
    world.log.wait_pending(Flow::Hi, &[]).await;
}

#[tokio::test]
async fn a_pending_command_that_was_running_when_its_owner_died_is_run_again_only_if_it_is_idempotent()
 {
    let world = World::ready().await;
    world.tdlib.answer("disconnectAllWebsites", Reply::ok().held());
    let first = world.deliver(&bulk(disconnect("d-1")));
    world.tdlib.seen("disconnectAllWebsites").await;
    world.clock.advance_ms(3_000);
    all_pending(vec![first]).await;
    assert_eq!(world.log.pending(Flow::Lo), ["d-1"]);
    let world = next_owner(world).await;
    let unknown = |event: &Value| event["error_info"]["code"] == "outcome_unknown";
    world.log.next_event(1, "disconnect_all_websites_error", unknown).await;
    world.log.wait_pending(Flow::Lo, &[]).await;
    assert_eq!(world.methods(), Vec::<String>::new());
    assert_eq!(replies(&world), replies_to(&["d-1"]));
}

#[tokio::test]
async fn a_duplicate_joins_a_pending_command_at_this_owner_and_at_the_next() {
    let world = blocked().await;
    all_pending(slow(&world, &[ttl("s-1", 1), ttl("s-2", 2)]).await).await;
    let redelivered = |message: Message| Message { redelivered: true, ..message };
    all_pending(vec![world.deliver(&redelivered(ttl("s-2", 2)))]).await;
    let world = opening(world).await;
    let copy = world.deliver(&bulk(redelivered(ttl("s-2", 2))));
    all_pending(vec![copy]).await;
    let other = world.deliver(&ttl("s-1", 7));
    assert_eq!(other.error().await, "command_id was used for another command");
    open(&world).await;
    answer(&world, "s-2").await;
    assert_eq!(world.sent("setInactiveSessionTtl").len(), 2);
    assert_eq!(world.log.answers(1, "s-2").len(), 1);
    world.log.wait_pending(Flow::Hi, &[]).await;
    assert_eq!(replies(&world), replies_to(&["s-1", "s-2"]));
}

#[tokio::test]
async fn pending_commands_that_redis_has_lost_are_stored_again_when_it_is_back() {
    let world = blocked().await;
    let messages = [ttl("s-1", 1), ttl("s-2", 2), bulk(ttl("s-3", 3))];
    all_pending(slow(&world, &messages).await).await;
    world.log.set_up(false);
    world.log.lose_state();
    let late = world.deliver(&ttl("s-4", 4));
    world.log.set_up(true);
    all_pending(vec![late]).await;
    world.log.wait_pending(Flow::Hi, &["s-1", "s-2", "s-4"]).await;
    world.log.wait_pending(Flow::Lo, &["s-3"]).await;
    world.tdlib.release("setInactiveSessionTtl");
    answer(&world, "s-4").await;
    world.log.wait_pending(Flow::Hi, &[]).await;
    assert_eq!(replies(&world).len(), 4);
}

#[tokio::test]
async fn while_the_log_is_down_nothing_becomes_pending() {
    let world = blocked().await;
    world.log.set_up(false);
    let mut waits = world.deliver(&ttl("s-1", 1));
    world.clock.advance_ms(10_000);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(waits.waits());
    assert_eq!(world.log.pending(Flow::Hi), Vec::<String>::new());
    world.log.set_up(true);
    world.tdlib.seen("setInactiveSessionTtl").await;
}

#[tokio::test]
async fn a_message_may_be_acknowledged_only_once_its_command_is_in_the_list() {
    let world = blocked().await;
    world.log.hold_callbacks();
    let mut first = world.deliver(&ttl("s-1", 1));
    world.tdlib.seen("setInactiveSessionTtl").await;
    world.clock.advance_ms(3_000);
    world.log.wait_pending(Flow::Hi, &["s-1"]).await;
    assert!(first.waits());
    world.log.release_callbacks();
    assert_eq!(first.outcome().await, Some(CommandOutcome::Pending));
}

#[tokio::test]
async fn commands_being_stored_while_their_account_closes_still_become_pending() {
    let world = blocked().await;
    world.log.hold_callbacks();
    let answers = slow(&world, &[ttl("s-1", 1), ttl("s-2", 2)]).await;
    world.log.wait_pending(Flow::Hi, &["s-1", "s-2"]).await;
    world.close(Duration::from_millis(50)).await;
    world.log.release_callbacks();
    all_pending(answers).await;
    assert_eq!(world.log.pending(Flow::Hi), ["s-1", "s-2"]);
}

#[tokio::test]
async fn closing_leaves_the_pending_list_to_the_next_owner() {
    let world = blocked().await;
    all_pending(slow(&world, &[ttl("s-1", 1), ttl("s-2", 2)]).await).await;
    world.close(Duration::from_millis(50)).await;
    assert_eq!(world.log.pending(Flow::Hi), ["s-1", "s-2"]);
    assert_eq!((answered(&world), replies(&world)), (Vec::new(), Vec::new()));
    world.open_account(1).await;
    answer(&world, "s-2").await;
    assert_eq!(answered(&world), ["s-1", "s-2"]);
    world.log.wait_pending(Flow::Hi, &[]).await;
}

#[tokio::test]
async fn a_command_without_an_id_keeps_its_generated_one() {
    let world = blocked().await;
    let mut without_id = disconnect("");
    without_id.body.as_object_mut().unwrap().remove("command_id");
    let mut answers = slow(&world, &[ttl("s-1", 1)]).await;
    answers.push(world.deliver(&without_id));
    all_pending(answers).await;
    let given = world.log.pending(Flow::Hi)[1].clone();
    let world = next_owner(world).await;
    let done = world.log.next(1, "disconnect_all_websites", |_| true).await;
    assert_eq!(done["_meta"]["command_id"], given);
    world.log.wait_pending(Flow::Hi, &[]).await;
}

#[tokio::test]
async fn commands_that_the_ledger_answers_leave_the_list_too() {
    let world = blocked().await;
    let done = world.deliver(&disconnect("d-1")).payload().await;
    world.deliver(&disconnect("d-2")).payload().await;
    // While the lane is slow: a duplicate, and another command with an id that is taken.
    all_pending(slow(&world, &[ttl("s-1", 1), disconnect("d-1"), ttl("d-2", 2)]).await).await;
    world.tdlib.release("setInactiveSessionTtl");
    world.log.wait_pending(Flow::Hi, &[]).await;
    assert_eq!(world.sent("disconnectAllWebsites").len(), 2);
    assert_eq!(world.log.answers(1, "d-1"), std::slice::from_ref(&done));
    let conflict = world.log.answers(1, "d-2").pop().unwrap();
    assert_eq!(conflict["error"], "command_id was used for another command");
    assert_eq!(replies(&world), replies_to(&["s-1", "d-1", "d-2"]));
    assert_eq!(world.log.replies()[1].1, done);
}

#[tokio::test]
async fn pending_commands_that_this_build_cannot_run_are_answered() {
    let world = World::closed(&crate::support::Options::default());
    let (count, account) = (ShardCount::new(64).unwrap(), contracts::AccountId::new(1).unwrap());
    let unknown = message("u-1", json!({"command": "from_the_future"}));
    let entry = |n: u64, id: &str, body: String| PendingCommand {
        position: PendingPosition { flow: Flow::Lo, id: format!("41-{n}").parse().unwrap() },
        command: contracts::CommandId::new(id).unwrap(),
        body: body.into(),
        routing_key: RoutingKey::new(Flow::Lo, count, account, "from_the_future").to_string(),
        properties: unknown.properties.clone(),
    };
    world.log.leave_pending(entry(1, "u-1", unknown.body.to_string()));
    world.log.leave_pending(entry(2, "u-2", "{".to_owned()));
    world.come_to("authorizationStateReady").await;
    let errors = async {
        let error = |id: &'static str| move |event: &Value| event["_meta"]["command_id"] == id;
        world.log.next_event(1, "from_the_future_error", error("u-1")).await;
        world.log.next_event(1, "from_the_future_error", error("u-2")).await
    };
    tokio::time::timeout(PATIENCE, errors).await.unwrap();
    world.log.wait_pending(Flow::Lo, &[]).await;
}
