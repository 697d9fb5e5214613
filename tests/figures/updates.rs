//! The path of an update: from TDLib's reader through its account's channel to the event's JSON,
//! compared with parsing the same bytes into tdlib-rs's types.

use std::ffi::CStr;
use std::hint::black_box;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contracts::{AccountId, Epoch, EventId};
use owner_worker::event_of;
use runtime::Clock;
use serde_json::json;
use tdlib::{CancellationToken, LogCallback, Tdjson, Tdlib, types};

use crate::cpu;
use crate::report::{Table, rounded};

const ROUNDS: u32 = 5;
const UPDATES: u32 = 40_000;
const FIXTURES: [(&str, &str); 2] = [
    ("text", include_str!("../../crates/tdlib/tests/data/new_message_text.json")),
    ("photo", include_str!("../../crates/tdlib/tests/data/new_message_photo.json")),
];

/// Returns prepared objects.
struct Prepared {
    objects: Mutex<Receiver<Vec<u8>>>,
    clients: AtomicI32,
}

impl Tdjson for Prepared {
    fn create_client_id(&self) -> i32 {
        self.clients.fetch_add(1, Ordering::Relaxed)
    }

    fn send(&self, _client_id: i32, _request: &CStr) {}

    fn receive(&self, timeout: Duration) -> Option<Vec<u8>> {
        self.objects.lock().unwrap().recv_timeout(timeout).ok()
    }

    fn execute(&self, _request: &CStr) -> Option<String> {
        None
    }

    fn set_log_message_callback(&self, _max_level: i32, _callback: LogCallback) {}
}

pub(crate) fn measure() -> Table {
    let rows = FIXTURES.map(|(name, json)| {
        let ours = best(|| through_tdfleet(json));
        let theirs = best(|| through_tdlib_rs(json));
        vec![json!(name), json!(json.trim().len()), rounded(ours, 2), rounded(theirs, 2)]
    });
    Table {
        question: "What does an update cost?",
        notes: &[
            "CPU time per update, the best of 5 rounds of 40,000.",
            "tdfleet: from the reader's copy to the event's JSON (read, route, classify, encode), on both threads; without TDLib's own work.",
            "tdlib-rs: only parsing the same bytes into its `UpdateNewMessage`, without routing or writing an event.",
        ],
        columns: &["update", "size (bytes)", "tdfleet (µs)", "tdlib-rs (µs)"],
        rows: rows.to_vec(),
    }
}

/// Microseconds of CPU time per update in the best round.
fn best(round: impl Fn() -> Duration) -> f64 {
    let rounds = (0..ROUNDS).map(|_| round().as_secs_f64() * 1e6 / f64::from(UPDATES));
    rounds.fold(f64::INFINITY, f64::min)
}

/// Includes the copy out of TDLib's memory, but not TDLib's own work.
fn through_tdfleet(json: &str) -> Duration {
    let (objects, receiver): (Sender<Vec<u8>>, _) = channel();
    let clients = AtomicI32::new(1);
    let prepared = Arc::new(Prepared { objects: Mutex::new(receiver), clients });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tdlib = Tdlib::start(prepared, CancellationToken::new()).unwrap();
    let (_client, mut updates) = tdlib.client();
    let account = AccountId::new(1).unwrap();
    let clock = Clock::system();
    let begun = cpu::own();
    for _ in 0..UPDATES {
        objects.send(json.trim().as_bytes().to_vec()).unwrap();
    }
    runtime.block_on(async {
        let mut batch = Vec::with_capacity(256);
        let mut id = EventId::first(Epoch(1));
        let mut out = Vec::with_capacity(8192);
        let mut left = UPDATES;
        while left > 0 {
            left -= u32::try_from(updates.recv_many(&mut batch, 256).await).unwrap();
            let at = clock.now();
            for update in batch.drain(..) {
                out.clear();
                event_of(account, update, at).encode(id.next(), Some(id), &mut out);
                id = id.next();
                black_box(&out);
            }
        }
    });
    let took = cpu::own().saturating_sub(begun);
    // A reader that outlives its round would be measured in the next one.
    runtime.block_on(tdlib.stop());
    drop(objects);
    took
}

fn through_tdlib_rs(json: &str) -> Duration {
    let begun = cpu::own();
    for _ in 0..UPDATES {
        let bytes = black_box(json.trim().as_bytes()).to_vec();
        let update: types::UpdateNewMessage = serde_json::from_slice(&bytes).unwrap();
        black_box(update);
    }
    cpu::own().saturating_sub(begun)
}
