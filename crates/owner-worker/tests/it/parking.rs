//! What a slow lane holds goes to the pending list: RabbitMQ lets go of it, and nothing else changes.

use std::time::Duration;

use contracts::{Flow, Properties, RoutingKey, ShardCount};
use log_port::{PendingCommand, PendingPosition};
use owner_worker::CommandOutcome;
use serde_json::{Value, json};
use testkit::Reply;

use crate::support::objects::{session, sessions};
use crate::support::{Answer, Message, PATIENCE, World, authorization};

/// A write of account 1 that runs again after a crash; its answer is wanted in a queue as well.
fn ttl(id: &str, days: i64) -> Message {
    message(id, json!({"command": "set_inactive_session_ttl", "inactive_session_ttl_days": days}))
}

/// One that does not.
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

/// A world in which TDLib holds the answer to the first write back.
async fn stuck() -> World {
    let world = World::ready().await;
    world.tdlib.answers("setInactiveSessionTtl", vec![Reply::ok().held(), Reply::ok()]);
    world.tdlib.answer("getActiveSessions", Reply::object(sessions(&[session(0)])));
    world.tdlib.answer("disconnectAllWebsites", Reply::ok());
    world
}

/// The next owner, after a crash, over the same log; its accounts still open.
async fn opening(world: World) -> World {
    let world = world.crash();
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok());
    world.tdlib.answer("disconnectAllWebsites", Reply::ok());
    world.tdlib.answer("setTdlibParameters", Reply::silent());
    world.open().await;
    world
}

/// Lets them be ready.
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

/// Delivers these and waits until the lane is slow.
async fn slow(world: &World, messages: &[Message]) -> Vec<Answer> {
    let answers = messages.iter().map(|message| world.deliver(message)).collect();
    world.tdlib.seen("setInactiveSessionTtl").await;
    world.clock.advance_ms(3_000);
    answers
}

async fn parked(answers: Vec<Answer>) {
    for answer in answers {
        assert_eq!(answer.outcome().await, Some(CommandOutcome::Pending));
    }
}

/// The ids of the answers in the log, in their order.
fn answered(world: &World) -> Vec<String> {
    let ids = world.log.events(1).into_iter().map(|event| event["_meta"]["command_id"].clone());
    ids.filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect()
}

/// Where replies went to, and the ids of their answers.
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
async fn a_slow_lane_is_parked_in_its_order_and_so_is_what_comes_after() {
    let world = stuck().await;
    let early = slow(&world, &[ttl("s-1", 1), read("g-2"), disconnect("d-3")]).await;
    let mut beside = world.deliver(&bulk(ttl("s-4", 4)));
    parked(early).await;
    assert_eq!(world.log.pending(Flow::Hi), ["s-1", "g-2", "d-3"]);
    parked(vec![world.deliver(&ttl("s-5", 5))]).await;
    assert_eq!(world.log.pending(Flow::Hi), ["s-1", "g-2", "d-3", "s-5"]);
    assert!(beside.waits(), "its lane is not slow");
    assert_eq!(replies(&world), []);
    world.tdlib.release("setInactiveSessionTtl");
    answer(&world, "s-5").await;
    beside.payload().await;
    world.log.parked(Flow::Hi, &[]).await;
    assert_eq!(replies(&world), replies_to(&["s-1", "g-2", "d-3", "s-5"]));
    for id in ["s-1", "g-2", "d-3", "s-5"] {
        assert_eq!(world.log.answers(1, id).len(), 1);
    }
    assert_eq!(world.deliver(&ttl("s-6", 6)).payload().await["_meta"]["command_id"], "s-6");
    assert_eq!(world.log.pending(Flow::Lo), Vec::<String>::new());
}

#[tokio::test]
async fn the_next_owner_runs_what_is_parked_in_its_order_before_anything_new() {
    let world = stuck().await;
    let messages = [ttl("s-1", 1), disconnect("d-2"), ttl("s-3", 3), disconnect("d-4")];
    parked(slow(&world, &messages).await).await;
    let world = opening(world).await;
    parked(vec![world.deliver(&disconnect("d-5"))]).await;
    open(&world).await;
    answer(&world, "d-5").await;
    assert_eq!(answered(&world), ["s-1", "d-2", "s-3", "d-4", "d-5"]);
    assert_eq!(replies(&world), replies_to(&["s-1", "d-2", "s-3", "d-4", "d-5"]));
    let methods = ["setInactiveSessionTtl", "disconnectAllWebsites"];
    assert_eq!(world.methods(), [methods[0], methods[1], methods[0], methods[1], methods[1]]);
    world.log.parked(Flow::Hi, &[]).await;
}

#[tokio::test]
async fn what_ran_when_its_owner_died_is_not_run_again_from_the_pending_list_if_that_does_harm() {
    let world = World::ready().await;
    world.tdlib.answer("disconnectAllWebsites", Reply::ok().held());
    let first = world.deliver(&bulk(disconnect("d-1")));
    world.tdlib.seen("disconnectAllWebsites").await;
    world.clock.advance_ms(3_000);
    parked(vec![first]).await;
    assert_eq!(world.log.pending(Flow::Lo), ["d-1"]);
    let world = next_owner(world).await;
    let unknown = |event: &Value| event["error_info"]["code"] == "outcome_unknown";
    world.log.next_event(1, "disconnect_all_websites_error", unknown).await;
    world.log.parked(Flow::Lo, &[]).await;
    assert_eq!(world.methods(), Vec::<String>::new());
    assert_eq!(replies(&world), replies_to(&["d-1"]));
}

#[tokio::test]
async fn a_copy_of_what_is_parked_joins_it_here_and_at_the_next_owner() {
    let world = stuck().await;
    parked(slow(&world, &[ttl("s-1", 1), ttl("s-2", 2)]).await).await;
    let redelivered = |message: Message| Message { redelivered: true, ..message };
    parked(vec![world.deliver(&redelivered(ttl("s-2", 2)))]).await;
    let world = opening(world).await;
    let copy = world.deliver(&bulk(redelivered(ttl("s-2", 2))));
    parked(vec![copy]).await;
    let other = world.deliver(&ttl("s-1", 7));
    assert_eq!(other.error().await, "command_id was used for another command");
    open(&world).await;
    answer(&world, "s-2").await;
    assert_eq!(world.sent("setInactiveSessionTtl").len(), 2);
    assert_eq!(world.log.answers(1, "s-2").len(), 1);
    world.log.parked(Flow::Hi, &[]).await;
    assert_eq!(replies(&world), replies_to(&["s-1", "s-2"]));
}

#[tokio::test]
async fn what_redis_has_lost_is_parked_again_when_it_is_back() {
    let world = stuck().await;
    let messages = [ttl("s-1", 1), ttl("s-2", 2), bulk(ttl("s-3", 3))];
    parked(slow(&world, &messages).await).await;
    world.log.set_up(false);
    world.log.forget();
    let late = world.deliver(&ttl("s-4", 4));
    world.log.set_up(true);
    parked(vec![late]).await;
    world.log.parked(Flow::Hi, &["s-1", "s-2", "s-4"]).await;
    world.log.parked(Flow::Lo, &["s-3"]).await;
    world.tdlib.release("setInactiveSessionTtl");
    answer(&world, "s-4").await;
    world.log.parked(Flow::Hi, &[]).await;
    assert_eq!(replies(&world).len(), 4);
}

#[tokio::test]
async fn while_the_log_is_away_nothing_is_said_to_be_parked() {
    let world = stuck().await;
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
async fn a_message_is_let_go_of_only_when_the_list_has_it() {
    let world = stuck().await;
    world.log.hold();
    let mut first = world.deliver(&ttl("s-1", 1));
    world.tdlib.seen("setInactiveSessionTtl").await;
    world.clock.advance_ms(3_000);
    world.log.parked(Flow::Hi, &["s-1"]).await;
    assert!(first.waits());
    world.log.release();
    assert_eq!(first.outcome().await, Some(CommandOutcome::Pending));
}

#[tokio::test]
async fn what_is_on_its_way_into_the_list_when_its_account_is_closed_is_parked_all_the_same() {
    let world = stuck().await;
    world.log.hold();
    let answers = slow(&world, &[ttl("s-1", 1), ttl("s-2", 2)]).await;
    world.log.parked(Flow::Hi, &["s-1", "s-2"]).await;
    world.close(Duration::from_millis(50)).await;
    world.log.release();
    parked(answers).await;
    assert_eq!(world.log.pending(Flow::Hi), ["s-1", "s-2"]);
}

#[tokio::test]
async fn closing_leaves_the_pending_list_to_the_next_owner() {
    let world = stuck().await;
    parked(slow(&world, &[ttl("s-1", 1), ttl("s-2", 2)]).await).await;
    world.close(Duration::from_millis(50)).await;
    assert_eq!(world.log.pending(Flow::Hi), ["s-1", "s-2"]);
    assert_eq!((answered(&world), replies(&world)), (Vec::new(), Vec::new()));
    world.open_account(1).await;
    answer(&world, "s-2").await;
    assert_eq!(answered(&world), ["s-1", "s-2"]);
    world.log.parked(Flow::Hi, &[]).await;
}

#[tokio::test]
async fn a_command_without_an_id_keeps_the_one_that_it_was_given() {
    let world = stuck().await;
    let mut nameless = disconnect("");
    nameless.body.as_object_mut().unwrap().remove("command_id");
    let mut answers = slow(&world, &[ttl("s-1", 1)]).await;
    answers.push(world.deliver(&nameless));
    parked(answers).await;
    let given = world.log.pending(Flow::Hi)[1].clone();
    let world = next_owner(world).await;
    let done = world.log.next(1, "disconnect_all_websites", |_| true).await;
    assert_eq!(done["_meta"]["command_id"], given);
    world.log.parked(Flow::Hi, &[]).await;
}

#[tokio::test]
async fn what_the_ledger_settles_otherwise_leaves_the_list_too() {
    let world = stuck().await;
    let done = world.deliver(&disconnect("d-1")).payload().await;
    world.deliver(&disconnect("d-2")).payload().await;
    // The same id once more, and another command by an id that is taken, while the lane is slow.
    parked(slow(&world, &[ttl("s-1", 1), disconnect("d-1"), ttl("d-2", 2)]).await).await;
    world.tdlib.release("setInactiveSessionTtl");
    world.log.parked(Flow::Hi, &[]).await;
    assert_eq!(world.sent("disconnectAllWebsites").len(), 2);
    assert_eq!(world.log.answers(1, "d-1"), std::slice::from_ref(&done));
    let conflict = world.log.answers(1, "d-2").pop().unwrap();
    assert_eq!(conflict["error"], "command_id was used for another command");
    assert_eq!(replies(&world), replies_to(&["s-1", "d-1", "d-2"]));
    assert_eq!(world.log.replies()[1].1, done);
}

#[tokio::test]
async fn what_this_build_cannot_run_is_answered_from_the_list() {
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
    world.log.leave_parked(entry(1, "u-1", unknown.body.to_string()));
    world.log.leave_parked(entry(2, "u-2", "{".to_owned()));
    world.come_to("authorizationStateReady").await;
    let errors = async {
        let error = |id: &'static str| move |event: &Value| event["_meta"]["command_id"] == id;
        world.log.next_event(1, "from_the_future_error", error("u-1")).await;
        world.log.next_event(1, "from_the_future_error", error("u-2")).await
    };
    tokio::time::timeout(PATIENCE, errors).await.unwrap();
    world.log.parked(Flow::Lo, &[]).await;
}
