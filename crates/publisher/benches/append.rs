//! What a command and an event cost the log: in memory (encoding, numbering, grouping, callbacks)
//! and on a private Redis (that and the scripts).

use std::time::Duration;

use contracts::{AccountId, Body, CommandId, Epoch, Event, EventMeta, Names};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use log_port::{Admission, CommandCompletion, CommandFingerprint, Intent, OwnerToken};
use publisher::EventLog;
use runtime::{CancellationToken, Stage};
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

fn owner(account: AccountId) -> OwnerToken {
    OwnerToken { account, epoch: Epoch(1), served: true }
}

/// Appends all events and waits until they are stored.
async fn append(log: EventLog, events: Vec<Event>) {
    for event in events {
        log.append(owner(event.account), event, None, None);
    }
    assert!(log.drain(Duration::from_mins(1)).await);
}

/// Asks for as many new commands, and answers each with its event once it may be run.
async fn pairs(log: EventLog, events: Vec<Event>) {
    let commands = events.into_iter().map(|event| {
        let (owner, command, digest) =
            (owner(event.account), CommandId::random(), CommandFingerprint(1));
        let intent = Intent::Run { idempotent: false };
        let begun = log.begin(owner, Admission { command: command.clone(), digest, intent });
        let log = &log;
        async move {
            assert!(begun.await.is_ok());
            let completion =
                CommandCompletion { command, digest, keep: Duration::from_mins(10), parked: None };
            log.append(owner, event, Some(completion), None);
        }
    });
    join_all(commands).await;
    assert!(log.drain(Duration::from_mins(1)).await);
}

fn bench<F: Future<Output = ()>>(
    criterion: &mut Criterion,
    name: &str,
    server: Option<&RedisServer>,
    work: fn(EventLog, Vec<Event>) -> F,
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
                let setup = || (open(&runtime, server), events.clone());
                let routine = |(log, events)| runtime.block_on(work(log, events));
                bencher.iter_batched(setup, routine, BatchSize::PerIteration);
            },
        );
    }
    group.finish();
}

/// A log of its own in memory, or on Redis under names of its own.
fn open(runtime: &Runtime, server: Option<&RedisServer>) -> EventLog {
    runtime.block_on(async {
        let stage = Stage::new("output", &CancellationToken::new());
        let Some(server) = server else {
            return EventLog::in_process(&stage, PublisherSettings::default());
        };
        let settings =
            PublisherSettings { uri: server.uri().into(), ..PublisherSettings::default() };
        let names = Names::new(CommandId::random().as_str());
        match EventLog::redis(&stage, settings, names) {
            Ok(log) => log,
            Err(error) => panic!("{error}"),
        }
    })
}

fn all(criterion: &mut Criterion) {
    bench(criterion, "append in memory", None, append);
    bench(criterion, "begin and append in memory", None, pairs);
    let server = RedisServer::start();
    bench(criterion, "append on Redis", Some(&server), append);
    bench(criterion, "begin and append on Redis", Some(&server), pairs);
}

criterion_group!(benches, all);
criterion_main!(benches);
