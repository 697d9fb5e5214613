//! Each command takes effect once and is answered once, however often it is delivered.

use std::time::Duration;

use contracts::{Flow, Properties};
use futures_util::FutureExt;
use owner_worker::CommandOutcome;
use serde_json::{Value, json};
use testkit::Reply;
use tokio::time::timeout;

use crate::support::objects::{session, sessions};
use crate::support::{Answer, Message, Options, PATIENCE, World};

const SOON: Duration = Duration::from_millis(50);

const READY: &str = "authorizationStateReady";

/// An idempotent command of account 1.
fn ttl(id: &str, days: i64) -> Message {
    message(&json!({"command": "set_inactive_session_ttl", "userbot_id": 1,
        "inactive_session_ttl_days": days, "command_id": id}))
}

/// A command that is not idempotent.
fn disconnect(id: &str) -> Message {
    message(&json!({"command": "disconnect_all_websites", "userbot_id": 1, "command_id": id}))
}

fn message(body: &Value) -> Message {
    Message { body: body.clone(), ..Message::default() }
}

fn again(message: &Message) -> Message {
    Message { redelivered: true, ..message.clone() }
}

/// A world in which TDLib does not answer either command yet.
async fn holding() -> World {
    let world = World::ready().await;
    hold(&world);
    world
}

fn hold(world: &World) {
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok().held());
    world.tdlib.answer("disconnectAllWebsites", Reply::ok().held());
}

async fn restarted(world: World) -> World {
    let world = world.crash();
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok());
    world.tdlib.answer("disconnectAllWebsites", Reply::ok());
    world.come_to(READY).await;
    world
}

/// The event that answers a command.
async fn event(answer: Answer) -> Value {
    match answer.outcome().await {
        Some(CommandOutcome::Answered(event)) => serde_json::from_slice(&event).unwrap(),
        other => panic!("no answer but {other:?}"),
    }
}

async fn code(answer: Answer) -> Value {
    event(answer).await["payload"]["error_info"]["code"].clone()
}

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
async fn a_command_that_was_queued_when_its_owner_died_is_run() {
    let world = holding().await;
    let messages = [ttl("a", 1), disconnect("b")];
    let lost = messages.each_ref().map(|message| world.deliver(message));
    world.tdlib.seen("setInactiveSessionTtl").await;
    let world = restarted(world).await;
    for lost in lost {
        assert_eq!(lost.outcome().await, None);
    }
    for message in &messages {
        let payload = world.deliver(&again(message)).payload().await;
        assert!(payload.get("result").is_some(), "{payload}");
    }
    assert_eq!(world.methods(), ["setInactiveSessionTtl", "disconnectAllWebsites"]);
}

#[tokio::test]
async fn a_command_that_was_running_when_its_owner_died_is_run_again_only_if_it_is_idempotent() {
    let world = holding().await;
    let _lost = world.deliver(&disconnect("a"));
    world.tdlib.seen("disconnectAllWebsites").await;
    let world = restarted(world).await;
    let redelivered = world.deliver(&again(&disconnect("a")));
    assert_eq!(code(redelivered).await, "outcome_unknown");
    assert_eq!(code(world.deliver(&disconnect("a"))).await, "outcome_unknown");
    assert_eq!(world.methods(), Vec::<String>::new());
    assert_eq!(world.log.answers(1, "a").len(), 1);
}

#[tokio::test]
async fn a_command_that_crashed_the_process_twice_is_poison() {
    let mut world = holding().await;
    for _ in 0..2 {
        let _lost = world.deliver(&again(&ttl("a", 1)));
        world.tdlib.seen("setInactiveSessionTtl").await;
        world = world.crash();
        hold(&world);
        world.come_to(READY).await;
    }
    let payload = world.deliver(&again(&ttl("a", 1))).payload().await;
    let info = json!({"code": "poison", "source": "internal", "retriable": false});
    assert_eq!(payload["error_info"], info);
    assert_eq!(payload["error"], "the command ended the process twice and is not tried again");
    assert_eq!(world.methods(), Vec::<String>::new());
    assert_eq!(code(world.deliver(&again(&ttl("a", 1)))).await, "poison");
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
async fn a_silent_ledger_does_not_keep_an_account_open_beyond_its_grace() {
    let world = holding().await;
    world.log.set_answering(false);
    let refused = world.deliver(&message(&json!({"command": "nope", "userbot_id": 1})));
    let left = world.deliver(&disconnect("a"));
    world.close(SOON).await;
    assert_eq!((left.outcome().await, refused.outcome().await), (None, None));
}

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
async fn a_rejection_is_published_once() {
    let world = World::ready().await;
    let unknown_field = json!({"command": "get_active_sessions", "userbot_id": 1, "x": 1});
    let cases = [unknown_field, json!({"command": "nope", "userbot_id": 1}), unserved()];
    for (number, mut body) in cases.into_iter().enumerate() {
        let (id, account) = (format!("c-{number}"), body["userbot_id"].as_i64().unwrap());
        body["command_id"] = json!(id);
        let message = message(&body);
        let both = [world.deliver(&message), world.deliver(&message)];
        let [first, second] = both.map(event);
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first, second);
        assert_eq!(event(world.deliver(&again(&message))).await, first);
        assert_eq!(world.log.answers(account, &id).len(), 1, "{body}");
    }
}

/// A command of an account that no worker serves, in a shard that this one owns.
fn unserved() -> Value {
    let count = contracts::ShardCount::new(64).unwrap();
    let shard = |id: i64| count.shard_of(contracts::AccountId::new(id).unwrap());
    let account = (3..10_000).find(|id| shard(*id) == shard(1)).unwrap();
    json!({"command": "get_active_sessions", "userbot_id": account, "command_id": "s"})
}

#[tokio::test]
async fn a_command_of_an_unknown_account_is_left_to_redelivery_when_its_shard_closes() {
    let world = World::ready().await;
    world.log.set_answering(false);
    let refused = world.deliver(&message(&unserved()));
    world.close(PATIENCE).await;
    assert_eq!(refused.outcome().await, None);
}

#[tokio::test]
async fn an_unreadable_message_is_answered_once_and_dead_lettered_every_time() {
    let world = World::ready().await;
    let count = contracts::ShardCount::new(64).unwrap();
    let account = contracts::AccountId::new(1).unwrap();
    let key = contracts::RoutingKey::new(Flow::Hi, count, account, "block_user");
    let properties = || Properties { message_id: Some("m".to_owned()), ..Properties::default() };
    let garbage = |body: &'static [u8]| {
        let (key, redelivered) = (Some(key.clone()), false);
        let body = bytes::Bytes::from_static(body);
        world.request(owner_worker::WorkerRequest {
            body,
            key,
            properties: properties(),
            redelivered,
            expired: false,
        })
    };
    let first = garbage(b"hello").outcome().await;
    assert!(matches!(first, Some(CommandOutcome::DeadLetter { event: Some(_), .. })), "{first:?}");
    assert_eq!(garbage(b"hello").outcome().await, first);
    assert_eq!(world.log.answers(1, "m").len(), 1);
    let other = garbage(b"hallo").outcome().await;
    let Some(CommandOutcome::DeadLetter { event: Some(other), .. }) = other else {
        panic!("no dead letter but {other:?}");
    };
    let other: Value = serde_json::from_slice(&other).unwrap();
    assert_eq!(other["payload"]["error"], "command_id was used for another command");
}

#[tokio::test]
async fn a_dispatched_command_that_can_no_longer_run_has_an_unknown_outcome() {
    let world = holding().await;
    let mut command = ttl("a", 1);
    command.body["_meta"] = json!({"deadline": "2026-11-18T11:07:00Z"});
    let _lost = world.deliver(&command);
    world.tdlib.seen("setInactiveSessionTtl").await;
    let world = restarted(world).await;
    world.clock.advance_ms(60_000);
    assert_eq!(code(world.deliver(&again(&command))).await, "outcome_unknown");
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

#[tokio::test]
async fn a_ledger_that_redis_has_lost_is_not_trusted() {
    let world = holding().await;
    let _lost = world.deliver(&disconnect("a"));
    world.tdlib.seen("disconnectAllWebsites").await;
    world.log.lose_state();
    let world = restarted(world).await;
    let payload = world.deliver(&again(&disconnect("a"))).payload().await;
    assert_eq!(payload["error_info"]["code"], "outcome_unknown");
    assert_eq!(world.methods(), Vec::<String>::new());
    world.deliver(&again(&ttl("b", 1))).payload().await;
    world.deliver(&disconnect("c")).payload().await;
    assert_eq!(world.methods(), ["setInactiveSessionTtl", "disconnectAllWebsites"]);
}

#[tokio::test]
async fn a_redelivered_command_without_an_id_is_run_only_if_it_is_idempotent() {
    let world = World::ready().await;
    world.tdlib.answer("setInactiveSessionTtl", Reply::ok());
    world.tdlib.answer("disconnectAllWebsites", Reply::ok());
    let (mut harmless, mut harmful) = (again(&ttl("", 1)), again(&disconnect("")));
    for message in [&mut harmless, &mut harmful] {
        message.body.as_object_mut().unwrap().remove("command_id");
    }
    world.deliver(&harmless).payload().await;
    assert_eq!(code(world.deliver(&harmful)).await, "outcome_unknown");
    assert_eq!(world.methods(), ["setInactiveSessionTtl"]);
    harmful.properties.message_id = Some("m".to_owned());
    world.deliver(&harmful).payload().await;
    assert_eq!(world.methods(), ["setInactiveSessionTtl", "disconnectAllWebsites"]);
}

#[tokio::test]
async fn a_command_is_not_run_once_there_is_a_newer_owner() {
    let world = World::ready().await;
    world.log.fence(1);
    let outcome = world.deliver(&disconnect("a")).outcome().await;
    assert!(matches!(outcome, Some(CommandOutcome::NotOwned { .. })), "{outcome:?}");
    assert!(world.sent("disconnectAllWebsites").is_empty());
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
