//! What an update costs on its way from TDLib to an account's channel.
#![expect(clippy::unwrap_used, reason = "a bench may end by panicking")]

use std::ffi::CStr;
use std::hint::black_box;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value;
use tdlib::{CancellationToken, LogCallback, Tdjson, Tdlib};

const TEXT: &str = include_str!("../tests/data/new_message_text.json");
const PHOTO: &str = include_str!("../tests/data/new_message_photo.json");

/// A library that hands out a prepared batch of objects as fast as it is asked.
struct Prepared {
    batches: Mutex<Receiver<Vec<Vec<u8>>>>,
    current: Mutex<Vec<Vec<u8>>>,
    clients: AtomicI32,
}

impl Prepared {
    fn new() -> (Arc<Self>, SyncSender<Vec<Vec<u8>>>) {
        let (sender, receiver) = sync_channel(1);
        let prepared = Self {
            batches: Mutex::new(receiver),
            current: Mutex::default(),
            clients: AtomicI32::new(1),
        };
        (Arc::new(prepared), sender)
    }
}

impl Tdjson for Prepared {
    fn create_client_id(&self) -> i32 {
        self.clients.fetch_add(1, Ordering::Relaxed)
    }

    fn send(&self, _client_id: i32, _request: &CStr) {}

    fn receive(&self, timeout: Duration) -> Option<Vec<u8>> {
        let mut current = self.current.lock().unwrap();
        if current.is_empty() {
            *current = self.batches.lock().unwrap().recv_timeout(timeout).ok()?;
        }
        current.pop()
    }

    fn execute(&self, _request: &CStr) -> Option<String> {
        None
    }

    fn set_log_message_callback(&self, _max_level: i32, _callback: LogCallback) {}
}

fn for_client(json: &str, client_id: usize) -> Vec<u8> {
    let body = json.strip_suffix("\"@client_id\":1}").unwrap();
    format!("{body}\"@client_id\":{client_id}}}").into_bytes()
}

/// From `receive` to the account's channel, with that many accounts; the copy out of TDLib's memory
/// is made beforehand.
fn route(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = c.benchmark_group("route");
    for (name, json) in [("text", TEXT), ("photo", PHOTO)] {
        group.throughput(Throughput::Elements(1));
        for accounts in [1, 100, 1000] {
            let (prepared, batches) = Prepared::new();
            let tdlib = Tdlib::start(prepared, CancellationToken::new()).unwrap();
            let mut open: Vec<_> = (0..accounts).map(|_| tdlib.client()).collect();
            group.bench_function(BenchmarkId::new(name, accounts), |b| {
                b.iter_custom(|iterations| {
                    let wanted = usize::try_from(iterations).unwrap();
                    let batch: Vec<_> =
                        (0..wanted).map(|n| for_client(json, n % accounts + 1)).collect();
                    let done = tdlib.counters().updates + iterations;
                    let start = Instant::now();
                    batches.send(batch).unwrap();
                    while tdlib.counters().updates < done {
                        std::hint::spin_loop();
                    }
                    let taken = start.elapsed();
                    for (_, updates) in &mut open {
                        let mut taken = Vec::new();
                        if !updates.is_empty() {
                            runtime.block_on(updates.recv_many(&mut taken, usize::MAX));
                        }
                    }
                    taken
                });
            });
            runtime.block_on(tdlib.stop());
        }
    }
    group.finish();
}

/// The first step of tdlib-rs's own loop: a whole `Value`, before its typed second pass.
fn whole_value(c: &mut Criterion) {
    let mut group = c.benchmark_group("serde_json_value");
    for (name, json) in [("text", TEXT), ("photo", PHOTO)] {
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| {
            b.iter(|| {
                let value: Value = serde_json::from_str(black_box(json)).unwrap();
                black_box(value["@client_id"].as_i64())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, route, whole_value);
criterion_main!(benches);
