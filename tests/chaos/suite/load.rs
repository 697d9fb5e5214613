//! The steady load: numbered commands to every account, and incoming messages.

use std::time::Duration;

use contracts::{AccountId, Flow, RoutingKey};
use sandbox::Peer;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::ChaosRun;
use super::evidence::{CommandKind, PublishedCommand, now};
use super::fleet::TestFleet;
use super::random::SeededRandom;

/// Time from publishing a command to its deadline.
const DEADLINE: Duration = Duration::from_secs(90);
/// Time between two messages to an account.
const MESSAGE_INTERVAL: Duration = Duration::from_secs(4);
/// One command in this many is published twice.
const COMMANDS_PER_COPY: u64 = 10;

/// A command that is ready to be published.
struct PreparedCommand {
    published: PublishedCommand,
    key: String,
    body: Vec<u8>,
}

impl PreparedCommand {
    fn new(account: u32, id: String, kind: CommandKind, number: u32, flow: Flow) -> Self {
        let (name, fields) = name_and_fields(kind, number);
        let deadline = (runtime::Clock::system().now() + DEADLINE).to_string();
        let mut body = json!({
            "command": name, "userbot_id": account, "command_id": id, "_meta": {"deadline": deadline},
        });
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        let published =
            PublishedCommand { id, kind, number, flow, attempts: Vec::new(), confirmed: None };
        Self {
            published,
            key: routing_key(account, flow, name),
            body: body.to_string().into_bytes(),
        }
    }
}

fn name_and_fields(kind: CommandKind, number: u32) -> (&'static str, Value) {
    match kind {
        // TDLib does not store this setting, so it never sends it again by itself.
        CommandKind::NotIdempotent => {
            let params = json!({"bio": number.to_string()});
            ("call_tdlib", json!({"method": "setBio", "params": params}))
        }
        CommandKind::Idempotent => {
            ("set_inactive_session_ttl", json!({"inactive_session_ttl_days": number}))
        }
        CommandKind::Read => ("get_active_sessions", json!({})),
        // TDLib ends its process when a fatal message is logged.
        CommandKind::Poison => {
            let params = json!({"verbosity_level": 0, "text": "poison"});
            ("call_tdlib", json!({"method": "addLogMessage", "params": params}))
        }
    }
}

fn routing_key(account: u32, flow: Flow, command: &str) -> String {
    let id = AccountId::new(account.into()).expect("counted from 1");
    RoutingKey::new(flow, TestFleet::shards(), id, command).to_string()
}

/// Logs an account in.
pub(crate) async fn log_in(run: &ChaosRun, account: u32) -> Result<(), String> {
    let sandbox = &run.fleet.sandbox;
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
        let key = routing_key(account, Flow::Hi, command);
        while !run.bus.publish(account, &key, body.to_string().as_bytes(), &id).await {}
        let answer = run.follower.wait_for(&id).await;
        if let Some(code) = answer.code {
            return Err(format!("account {account} cannot log in: {command} fails with {code}"));
        }
    }
    Ok(())
}

/// Publishes commands to an account, one after the other, as long as the load lasts.
pub(crate) async fn commands(run: &ChaosRun, account: u32) {
    let mut random = SeededRandom::new(run.options.seed, account.into());
    let interval = Duration::from_secs_f64(1.0 / run.options.rate);
    let mut due = Instant::now() + interval.mul_f64(fraction(&mut random));
    let (mut once, mut again) = (0, 0);
    let mut number = 0;
    loop {
        sleep_until(due).await;
        if !run.is_loading() {
            return;
        }
        due = (due + interval.mul_f64(0.5 + fraction(&mut random))).max(Instant::now());
        number += 1;
        let (kind, flow) = choose(&mut random);
        let value = match kind {
            CommandKind::NotIdempotent => &mut once,
            _ => &mut again,
        };
        *value += 1;
        let id = format!("c-{account}-{number}");
        let command = PreparedCommand::new(account, id, kind, *value, flow);
        let place = publish(run, account, &command).await;
        if random.in_range(0..COMMANDS_PER_COPY) == 0 && run.is_loading() {
            sleep(Duration::from_millis(random.in_range(0..300))).await;
            attempt(run, account, &command, place).await;
        }
    }
}

fn fraction(random: &mut SeededRandom) -> f64 {
    f64::from(u32::try_from(random.in_range(0..1000)).unwrap_or(0)) / 1000.0
}

fn choose(random: &mut SeededRandom) -> (CommandKind, Flow) {
    match random.in_range(0..100) {
        0..45 => (CommandKind::NotIdempotent, Flow::Hi),
        45..60 => (CommandKind::NotIdempotent, Flow::Lo),
        60..80 => (CommandKind::Idempotent, Flow::Hi),
        _ => (CommandKind::Read, Flow::Hi),
    }
}

/// Publishes a command that crashes the worker's process, and returns its id.
pub(crate) async fn poison(run: &ChaosRun, account: u32) -> String {
    let id = format!("p-{account}-{}", now());
    let command = PreparedCommand::new(account, id.clone(), CommandKind::Poison, 0, Flow::Hi);
    publish(run, account, &command).await;
    id
}

/// Publishes a command until it is confirmed or the run ends; its index among the account's.
async fn publish(run: &ChaosRun, account: u32, command: &PreparedCommand) -> usize {
    let place = run.record(account, command.published.clone());
    while !attempt(run, account, command, place).await && !run.is_finished() {}
    place
}

async fn attempt(run: &ChaosRun, account: u32, command: &PreparedCommand, place: usize) -> bool {
    run.change(account, place, |published| published.attempts.push(now()));
    let id = &command.published.id;
    let confirmed = run.bus.publish(account, &command.key, &command.body, id).await;
    if confirmed {
        run.change(account, place, |published| {
            published.confirmed.get_or_insert_with(now);
        });
    }
    confirmed
}

/// Sends numbered messages to an account, as long as the load lasts.
pub(crate) async fn messages(run: &ChaosRun, account: u32) {
    let handle = run.fleet.sandbox.account(&run.fleet.sandbox.phone(account)).unwrap();
    let from = handle.contacts()[0];
    let mut random = SeededRandom::new(!run.options.seed, account.into());
    sleep(MESSAGE_INTERVAL.mul_f64(fraction(&mut random))).await;
    for number in 1.. {
        if !run.is_loading() {
            return;
        }
        let text = format!("m-{account}-{number}");
        run.record_message(account, &text);
        handle.receive(from, Peer::User(handle.user()), &text);
        sleep(MESSAGE_INTERVAL).await;
    }
}
