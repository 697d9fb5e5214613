//! What event log and ledger cost: the same commands to a worker with them and to one without.

use std::env::current_exe;
use std::path::Path;
use std::time::{Duration, Instant};

use broker::{CommandClient, CommandRequest};
use contracts::{AccountId, Names, ShardCount};
use futures_util::{StreamExt, stream};
use runtime::{CancellationToken, Stage};
use serde_json::json;
use settings::BrokerSettings;

use crate::support::world::SHARDS;
use crate::support::{Worker, World};
use crate::{bare, cpu};

const ACCOUNTS: u32 = 8;
const ONE_BY_ONE: u32 = 1_000;
const FLOOD: u32 = 20_000;
const WINDOW: usize = 500;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn print() {
    println!(
        "\nThe same from publish to reply (`reply_to`), with event log and ledger and without:"
    );
    println!("| log and ledger | in flight | commands/s | p50 | p99 | worker CPU per command |");
    println!("| --- | --- | --- | --- | --- | --- |");
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
            run(name, &publisher, &worker, number, window).await;
        }
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

async fn run(name: &str, publisher: &CommandClient, worker: &Worker, number: u32, window: usize) {
    let pid = worker.child.id().unwrap();
    let (begun, cpu) = (Instant::now(), cpu::of(pid));
    let calls = stream::iter(0..number).map(|n| async move {
        let square = command(n % ACCOUNTS + 1, "call_tdlib")
            .field("method", "testSquareInt")
            .field("params", json!({"x": 7}));
        let sent = Instant::now();
        let answer = publisher.call(&square, PATIENCE).await.unwrap();
        assert!(!answer.windows(7).any(|part| part == b"\"error\""));
        sent.elapsed()
    });
    let mut took: Vec<_> = calls.buffer_unordered(window).collect().await;
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

fn command(account: u32, name: &str) -> CommandRequest {
    CommandRequest::new(AccountId::new(account.into()).unwrap(), name)
}
