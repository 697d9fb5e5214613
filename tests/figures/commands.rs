//! A command on its way: from the publish to its event on the live channel, through RabbitMQ, the
//! worker's process, TDLib, and Redis.

use std::collections::HashMap;
use std::time::Instant;

use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::cpu;
use crate::support::{Backend, Worker, World, routing_key};

const ACCOUNTS: u32 = 8;
const ONE_BY_ONE: u32 = 1_000;
const FLOOD: u32 = 20_000;
const WINDOW: u32 = 500;

pub(crate) async fn print() {
    let world = World::start(ACCOUNTS).await;
    let allow = ("TDFLEET__WORKER__CALL_TDLIB_METHODS", "testSquareInt");
    let quiet = ("TDFLEET__LOG__FILTER", "warn");
    let worker = world.tdfleet(&["worker"], &[allow, quiet]);
    let mut backend = world.backend_when_declared().await;
    for account in 1..=ACCOUNTS {
        backend.listen(account).await;
        world.log_in(&mut backend, account).await;
    }
    println!("Commands from publish (persistent, confirmed) to event (pub/sub), quorum queues:");
    println!("| command | in flight | commands/s | p50 | p99 | worker CPU per command |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let local = json!({"method": "testSquareInt", "params": {"x": 7}});
    for (name, fields) in [("call_tdlib", local), ("get_active_sessions", json!({}))] {
        for (number, window) in [(ONE_BY_ONE, 1), (FLOOD, WINDOW)] {
            let load = Load { name, fields: &fields, number, window };
            run(&mut backend, &worker, &load).await;
        }
    }
}

/// One command again and again.
struct Load<'a> {
    name: &'a str,
    fields: &'a Value,
    number: u32,
    /// So many are under way at once.
    window: u32,
}

async fn run(backend: &mut Backend, worker: &Worker, load: &Load<'_>) {
    let &Load { name, number, window, .. } = load;
    let mut sent = HashMap::new();
    let mut took = Vec::new();
    let pid = worker.child.id().unwrap();
    let (begun, cpu) = (Instant::now(), cpu::of(pid));
    let mut next = 0;
    while took.len() < number as usize {
        let free = window.saturating_sub(u32::try_from(sent.len()).unwrap());
        let batch = free.min(number - next);
        if batch > 0 && (batch == window || batch >= window / 5 || number - next == batch) {
            let ids: Vec<_> = (next..next + batch).collect();
            next += batch;
            let id = |number: &u32| format!("{name}-{window}-{number}");
            sent.extend(ids.iter().map(|number| (id(number), Instant::now())));
            let publishes = ids.iter().map(|number| publish(backend, load, *number, id(number)));
            futures_util::future::join_all(publishes).await;
        }
        let event = backend.live_event(|event| answered(event, name).is_some()).await;
        if let Some(at) = answered(&event, name).and_then(|id| sent.remove(id)) {
            took.push(at.elapsed());
        }
    }
    let (all, cpu) = (begun.elapsed(), cpu::of(pid).saturating_sub(cpu));
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    println!(
        "| {name} | {window} | {:.0} | {:.2?} | {:.2?} | {:.0?} |",
        f64::from(number) / all.as_secs_f64(),
        at(50),
        at(99),
        cpu / number,
    );
}

async fn publish(backend: &Backend, load: &Load<'_>, number: u32, id: String) {
    let &Load { name, fields, .. } = load;
    let account = number % ACCOUNTS + 1;
    let mut body = json!({"command": name, "userbot_id": account, "command_id": id});
    if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields.clone()) {
        body.extend(fields);
    }
    let key = routing_key(account, name);
    backend.publish(&key, body.to_string().as_bytes(), BasicProperties::default()).await;
}

/// The command id of an event that answers `name`; the figures are of results alone.
fn answered<'e>(event: &'e Value, name: &str) -> Option<&'e str> {
    let payload = &event["payload"];
    assert!(payload["error"].is_null(), "{event}");
    (payload["type"] == name).then(|| payload["_meta"]["command_id"].as_str())?
}
