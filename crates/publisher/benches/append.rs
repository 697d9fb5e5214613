//! From events to stored batches without a server: encoding, numbering, grouping, callbacks.

use std::time::Duration;

use contracts::{AccountId, Body, Claimant, Epoch, Event, EventMeta};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use publisher::EventLog;
use runtime::{CancellationToken, Stage};
use settings::PublisherSettings;

const EVENTS: u64 = 10_000;

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

fn append(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(EVENTS));
    for accounts in [1, 100, 1000] {
        let events: Vec<_> = (0..EVENTS).filter_map(|number| event(number, accounts)).collect();
        group.bench_function(format!("{accounts} accounts"), |bencher| {
            bencher.iter_batched(
                || events.clone(),
                |events| {
                    runtime.block_on(async {
                        let stage = Stage::new("output", &CancellationToken::new());
                        let log = EventLog::in_process(&stage, PublisherSettings::default());
                        for event in events {
                            let claimant =
                                Claimant { account: event.account, epoch: Epoch(1), known: true };
                            log.append(claimant, event, None, None);
                        }
                        assert!(log.drain(Duration::from_mins(1)).await);
                    });
                },
                criterion::BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
