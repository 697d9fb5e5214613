//! Each command takes effect once and is answered once, however often it is delivered.

mod admission;
mod duplicates;
mod next_owner;
mod rejections;

use std::time::Duration;

use owner_worker::CommandOutcome;
use serde_json::{Value, json};
use testkit::Reply;

use crate::support::{Answer, Message, World};

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
