//! What the next owner does with the commands of one that has crashed.

use serde_json::json;
use testkit::Reply;

use super::{READY, again, code, disconnect, hold, holding, restarted, ttl};
use crate::support::World;

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
