//! What event log and ledger cost: the same commands sent to a worker with them and to one without.

use std::env::current_exe;
use std::path::Path;
use std::time::{Duration, Instant};

use broker::{CommandClient, CommandRequest};
use contracts::{AccountId, Names, ShardCount};
use futures_util::{StreamExt, stream};
use runtime::{CancellationToken, Stage};
use serde_json::json;
use settings::BrokerSettings;

use crate::bare;
use crate::report::{Measurement, Table};
use crate::support::world::SHARDS;
use crate::support::{Worker, World};

const ACCOUNTS: u32 = 8;
const ONE_BY_ONE: u32 = 1_000;
const FLOOD: u32 = 20_000;
const WINDOW: usize = 500;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn measure() -> Table {
    let mut rows = Vec::new();
    for (name, with) in [("on", true), ("off", false)] {
        let world = World::start(ACCOUNTS).await;
        let settings = [
            ("TDFLEET__WORKER__CALL_TDLIB_METHODS", "testSquareInt"),
            ("TDFLEET__LOG__FILTER", "warn"),
        ];
        let worker = if with {
            world.tdfleet(&["worker"], &settings)
        } else {
            bare_worker(&world, &settings)
        };
        let publisher = publisher(&world);
        log_in(&world, &publisher).await;
        for (number, window) in [(ONE_BY_ONE, 1), (FLOOD, WINDOW)] {
            let measurement = Measurement::start(worker.child.id().unwrap());
            let took = run(&publisher, number, window).await;
            rows.push(measurement.row(name, window, took));
        }
    }
    Table {
        question: "What do event log and ledger cost?",
        notes: &[
            "`call_tdlib` with `testSquareInt`, from before the publish to the reply (`reply_to`).",
            "\"off\" is the same worker with a log that stores nothing and a ledger that admits everything.",
        ],
        columns: &[
            "log and ledger",
            "in flight",
            "commands/s",
            "p50 (ms)",
            "p99 (ms)",
            "worker CPU per command (µs)",
        ],
        rows,
    }
}

fn bare_worker(world: &World, settings: &[(&str, &str)]) -> Worker {
    let program = current_exe().unwrap();
    world.process(Path::new(&program), &[bare::ARGUMENT], settings)
}

fn publisher(world: &World) -> CommandClient {
    let stage = Stage::new("driver", &CancellationToken::new());
    let settings = BrokerSettings { uri: world.rabbit.uri().into(), ..BrokerSettings::default() };
    let count = ShardCount::new(SHARDS).unwrap();
    CommandClient::start(&stage, &settings, Names::default(), count).unwrap()
}

async fn log_in(world: &World, publisher: &CommandClient) {
    for account in 1..=ACCOUNTS {
        let start = command(account, "start").field("phone", world.sandbox.phone(account));
        let code = command(account, "send_code").field("code", world.sandbox.code(account));
        for command in [start, code] {
            publisher.call(&command, PATIENCE).await.unwrap();
        }
    }
}

/// Sends `number` commands, `window` at a time, and returns how long each took.
async fn run(publisher: &CommandClient, number: u32, window: usize) -> Vec<Duration> {
    let calls = stream::iter(0..number).map(|n| async move {
        let square = command(n % ACCOUNTS + 1, "call_tdlib")
            .field("method", "testSquareInt")
            .field("params", json!({"x": 7}));
        let sent = Instant::now();
        let answer = publisher.call(&square, PATIENCE).await.unwrap();
        assert!(!answer.windows(7).any(|part| part == b"\"error\""));
        sent.elapsed()
    });
    calls.buffer_unordered(window).collect().await
}

fn command(account: u32, name: &str) -> CommandRequest {
    CommandRequest::new(AccountId::new(account.into()).unwrap(), name)
}
