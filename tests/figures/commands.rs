//! The path of a command: from the publish to its event on the live channel, through RabbitMQ, the
//! worker's process, TDLib, and Redis.

use std::collections::HashMap;
use std::time::Instant;

use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::report::{Measurement, Table};
use crate::support::{Backend, Worker, World, routing_key};

const ACCOUNTS: u32 = 8;
const ONE_BY_ONE: u32 = 1_000;
const FLOOD: u32 = 20_000;
const WINDOW: u32 = 500;

pub(crate) async fn measure() -> Table {
    let world = World::start(ACCOUNTS).await;
    let allow = ("TDFLEET__WORKER__CALL_TDLIB_METHODS", "testSquareInt");
    let quiet = ("TDFLEET__LOG__FILTER", "warn");
    // The account is to be the bottleneck, not its pace.
    let unpaced = [
        ("TDFLEET__PACING__READS_PER_MINUTE", "600000"),
        ("TDFLEET__PACING__READS_BURST", "100000"),
        ("TDFLEET__PACING__READS_IN_FLIGHT", "10000"),
    ];
    let environment = [[allow, quiet].as_slice(), &unpaced].concat();
    let worker = world.tdfleet(&["worker"], &environment);
    let mut backend = world.backend_when_declared().await;
    for account in 1..=ACCOUNTS {
        backend.listen(account).await;
        world.log_in(&mut backend, account).await;
    }
    let mut rows = Vec::new();
    let local = json!({"method": "testSquareInt", "params": {"x": 7}});
    for (name, fields) in [("call_tdlib", local), ("get_active_sessions", json!({}))] {
        for (number, window) in [(ONE_BY_ONE, 1), (FLOOD, WINDOW)] {
            let load = Load { name, fields: &fields, number, window };
            rows.push(run(&mut backend, &worker, &load).await);
        }
    }
    Table {
        question: "How fast is a command?",
        notes: &[
            "From before the publish (persistent, confirmed, quorum queues) to the arrival of its event by pub/sub: publisher confirm, which is an fsync of the queue, delivery, TDLib, the append to the log, the live publish.",
            "`call_tdlib` is `testSquareInt`, which TDLib answers itself; `get_active_sessions` goes over MTProto to the sandbox and back. The sandbox runs in the driver's process.",
        ],
        columns: &[
            "command",
            "in flight",
            "commands/s",
            "p50 (ms)",
            "p99 (ms)",
            "worker CPU per command (µs)",
        ],
        rows,
    }
}

/// The same command many times.
struct Load<'a> {
    name: &'a str,
    fields: &'a Value,
    number: u32,
    /// Commands in flight at the same time.
    window: u32,
}

/// Runs a load, and returns its row.
async fn run(backend: &mut Backend, worker: &Worker, load: &Load<'_>) -> Vec<Value> {
    let &Load { name, number, window, .. } = load;
    let mut sent = HashMap::new();
    let mut took = Vec::new();
    let measurement = Measurement::start(worker.child.id().unwrap());
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
    measurement.row(name, window as usize, took)
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

/// The command id of an event that answers `name`. An error panics, as only results are measured.
fn answered<'e>(event: &'e Value, name: &str) -> Option<&'e str> {
    let payload = &event["payload"];
    assert!(payload["error"].is_null(), "{event}");
    (payload["type"] == name).then(|| payload["_meta"]["command_id"].as_str())?
}
