//! The steady load: numbered commands to every account, and messages that come in from outside.

use std::time::Duration;

use contracts::{AccountId, Flow, RoutingKey};
use sandbox::Peer;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::Scene;
use super::random::Random;
use super::record::{Deed, Published, now};
use super::stage::Stage;

/// How long a command may wait before it is not run any more.
const DEADLINE: Duration = Duration::from_secs(90);
/// Messages that an account gets, one in so long.
const MESSAGE_EVERY: Duration = Duration::from_secs(4);
/// One in so many commands is published twice.
const COPIED: u64 = 10;

/// Something to publish.
struct Order {
    published: Published,
    key: String,
    body: Vec<u8>,
}

impl Order {
    fn new(account: u32, id: String, deed: Deed, number: u32, flow: Flow) -> Self {
        let (name, fields) = wording(deed, number);
        let deadline = (runtime::Clock::system().now() + DEADLINE).to_string();
        let mut body = json!({
            "command": name, "userbot_id": account, "command_id": id, "_meta": {"deadline": deadline},
        });
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        let published = Published { id, deed, number, flow, attempts: Vec::new(), confirmed: None };
        Self { published, key: key(account, flow, name), body: body.to_string().into_bytes() }
    }
}

fn wording(deed: Deed, number: u32) -> (&'static str, Value) {
    match deed {
        // One of the settings that TDLib does not keep, to send it again by itself when it is opened.
        Deed::Once => {
            let params = json!({"bio": number.to_string()});
            ("call_tdlib", json!({"method": "setBio", "params": params}))
        }
        Deed::Again => ("set_inactive_session_ttl", json!({"inactive_session_ttl_days": number})),
        Deed::Read => ("get_active_sessions", json!({})),
        // TDLib ends its process when it has something fatal to log.
        Deed::Poison => {
            let params = json!({"verbosity_level": 0, "text": "poison"});
            ("call_tdlib", json!({"method": "addLogMessage", "params": params}))
        }
    }
}

fn key(account: u32, flow: Flow, command: &str) -> String {
    let id = AccountId::new(account.into()).expect("counted from 1");
    RoutingKey::new(flow, Stage::shards(), id, command).to_string()
}

/// Logs an account in.
pub(crate) async fn log_in(scene: &Scene, account: u32) -> Result<(), String> {
    let sandbox = &scene.stage.sandbox;
    let steps = [
        ("start", json!({"phone": sandbox.phone(account)})),
        ("send_code", json!({"code": sandbox.code(account)})),
    ];
    for (command, fields) in steps {
        let id = format!("{command}-{account}");
        let mut body = json!({"command": command, "userbot_id": account, "command_id": id});
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        let key = key(account, Flow::Hi, command);
        while !scene.bus.publish(account, &key, body.to_string().as_bytes(), &id).await {}
        let answer = scene.follower.wait_for(&id).await;
        if let Some(code) = answer.code {
            return Err(format!("account {account} is not logged in: {command} fails, {code}"));
        }
    }
    Ok(())
}

/// Publishes commands for an account, one after the other, as long as the load lasts.
pub(crate) async fn commands(scene: &Scene, account: u32) {
    let mut random = Random::new(scene.options.seed, account.into());
    let interval = Duration::from_secs_f64(1.0 / scene.options.rate);
    let mut due = Instant::now() + interval.mul_f64(share(&mut random));
    let (mut once, mut again) = (0, 0);
    let mut number = 0;
    loop {
        sleep_until(due).await;
        if !scene.is_loading() {
            return;
        }
        due = (due + interval.mul_f64(0.5 + share(&mut random))).max(Instant::now());
        number += 1;
        let (deed, flow) = choose(&mut random);
        let value = match deed {
            Deed::Once => &mut once,
            _ => &mut again,
        };
        *value += 1;
        let id = format!("c-{account}-{number}");
        let order = Order::new(account, id, deed, *value, flow);
        let place = publish(scene, account, &order).await;
        if random.among(0..COPIED) == 0 && scene.is_loading() {
            sleep(Duration::from_millis(random.among(0..300))).await;
            attempt(scene, account, &order, place).await;
        }
    }
}

fn share(random: &mut Random) -> f64 {
    f64::from(u32::try_from(random.among(0..1000)).unwrap_or(0)) / 1000.0
}

fn choose(random: &mut Random) -> (Deed, Flow) {
    match random.among(0..100) {
        0..45 => (Deed::Once, Flow::Hi),
        45..60 => (Deed::Once, Flow::Lo),
        60..80 => (Deed::Again, Flow::Hi),
        _ => (Deed::Read, Flow::Hi),
    }
}

/// Publishes the command that ends its worker's process.
pub(crate) async fn poison(scene: &Scene, account: u32) -> String {
    let id = format!("p-{account}-{}", now());
    let order = Order::new(account, id.clone(), Deed::Poison, 0, Flow::Hi);
    publish(scene, account, &order).await;
    id
}

/// Publishes until it is confirmed, or the run ends; its place among the account's commands.
async fn publish(scene: &Scene, account: u32, order: &Order) -> usize {
    let place = scene.record(account, order.published.clone());
    while !attempt(scene, account, order, place).await && !scene.is_over() {}
    place
}

async fn attempt(scene: &Scene, account: u32, order: &Order, place: usize) -> bool {
    scene.change(account, place, |published| published.attempts.push(now()));
    let id = &order.published.id;
    let confirmed = scene.bus.publish(account, &order.key, &order.body, id).await;
    if confirmed {
        scene.change(account, place, |published| {
            published.confirmed.get_or_insert_with(now);
        });
    }
    confirmed
}

/// Lets numbered messages come in to an account as long as the load lasts.
pub(crate) async fn messages(scene: &Scene, account: u32) {
    let handle = scene.stage.sandbox.account(&scene.stage.sandbox.phone(account)).unwrap();
    let from = handle.contacts()[0];
    let mut random = Random::new(!scene.options.seed, account.into());
    sleep(MESSAGE_EVERY.mul_f64(share(&mut random))).await;
    for number in 1.. {
        if !scene.is_loading() {
            return;
        }
        let text = format!("m-{account}-{number}");
        scene.note_message(account, &text);
        handle.receive(from, Peer::User(handle.user()), &text);
        sleep(MESSAGE_EVERY).await;
    }
}
