//! The cost of a command and an event: in memory (encoding, numbering, batching, callbacks), and on a
//! private Redis (the same and the scripts). Claims are not measured.

use std::collections::HashMap;
use std::time::Duration;

use contracts::{AccountId, Body, CommandId, Epoch, Event, EventMeta, LedgerKey, Names};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use log_port::{AccountLog, Admission, CommandCompletion, CommandFingerprint, Intent, OwnerToken};
use publisher::{AccountWriter, EventLog};
use runtime::{CancellationToken, MacKey, Stage};
use settings::PublisherSettings;
use test_servers::redis::RedisServer;
use tokio::runtime::Runtime;

const EVENTS: u64 = 10_000;
const ACCOUNTS: [u64; 3] = [1, 100, 1000];

fn event(number: u64, accounts: u64) -> Option<Event> {
    let account = i64::try_from(number % accounts + 1).ok().and_then(AccountId::new)?;
    let text = "x".repeat(300);
    Some(Event {
        account,
        kind: "updateNewMessage".into(),
        body: Body::Result(format!(r#"{{"chat_id":{number},"text":"{text}"}}"#).into()),
        meta: EventMeta::at(jiff::Timestamp::UNIX_EPOCH),
    })
}

fn events(accounts: u64) -> Vec<Event> {
    (0..EVENTS).filter_map(|number| event(number, accounts)).collect()
}

/// A log, and the right to write each account's.
struct BenchLog {
    log: EventLog,
    writers: HashMap<AccountId, AccountWriter>,
}

/// Appends all events and waits until they are stored.
async fn append(bench: BenchLog, events: Vec<Event>) {
    for event in events {
        bench.writers[&event.account].append(event, None, None);
    }
    assert!(bench.log.drain(Duration::from_mins(1)).await);
}

/// Asks to admit one new command per event, and answers it with the event once it may be run.
async fn admit_and_append(bench: BenchLog, events: Vec<Event>) {
    let commands = events.into_iter().map(|event| {
        let writer = &bench.writers[&event.account];
        let command = LedgerKey { caller: None, command: CommandId::random() };
        let fingerprint = CommandFingerprint(1);
        let intent = Intent::Run { idempotent: false };
        let verdict = writer.admit(Admission { command: command.clone(), fingerprint, intent });
        async move {
            assert!(verdict.await.is_ok());
            let keep = Duration::from_mins(10);
            let completion = CommandCompletion { command, fingerprint, keep, pending: None };
            writer.append(event, Some(completion), None);
        }
    });
    join_all(commands).await;
    assert!(bench.log.drain(Duration::from_mins(1)).await);
}

fn bench<F: Future<Output = ()>>(
    criterion: &mut Criterion,
    name: &str,
    server: Option<&RedisServer>,
    work: fn(BenchLog, Vec<Event>) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(EVENTS)).sample_size(10);
    for accounts in ACCOUNTS {
        let events = events(accounts);
        group.bench_function(
            BenchmarkId::from_parameter(format!("{accounts} accounts")),
            |bencher| {
                let setup = || (open(&runtime, server, accounts), events.clone());
                let routine = |(log, events)| runtime.block_on(work(log, events));
                bencher.iter_batched(setup, routine, BatchSize::PerIteration);
            },
        );
    }
    group.finish();
}

/// A new log in memory, or on Redis under new names, with its accounts claimed.
fn open(runtime: &Runtime, server: Option<&RedisServer>, accounts: u64) -> BenchLog {
    runtime.block_on(async {
        let log = open_log(server);
        let accounts = (1..).filter_map(AccountId::new).zip(0..accounts);
        let claims = accounts.map(|(account, _)| claim(&log, account));
        let writers = join_all(claims).await.into_iter().collect();
        BenchLog { log, writers }
    })
}

async fn claim(log: &EventLog, account: AccountId) -> (AccountId, AccountWriter) {
    match log.claim(OwnerToken { account, epoch: Epoch(1), served: true }).await {
        Ok((writer, _)) => (account, writer),
        Err(error) => panic!("{error}"),
    }
}

fn open_log(server: Option<&RedisServer>) -> EventLog {
    let stage = Stage::new("output", &CancellationToken::new());
    let Some(server) = server else {
        return EventLog::in_process(&stage, PublisherSettings::default());
    };
    let settings = PublisherSettings { uri: server.uri().into(), ..PublisherSettings::default() };
    let names = Names::new(CommandId::random().as_str());
    let key = MacKey::derive("0123456789abcdef", "tdfleet log");
    match EventLog::redis(&stage, settings, names, Some(key)) {
        Ok(log) => log,
        Err(error) => panic!("{error}"),
    }
}

fn all(criterion: &mut Criterion) {
    bench(criterion, "append in memory", None, append);
    bench(criterion, "admit and append in memory", None, admit_and_append);
    let server = RedisServer::start();
    bench(criterion, "append on Redis", Some(&server), append);
    bench(criterion, "admit and append on Redis", Some(&server), admit_and_append);
}

criterion_group!(benches, all);
criterion_main!(benches);
