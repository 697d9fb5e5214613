//! The same worker without event log and ledger, to measure what those cost.
//!
//! It runs in a separate process (this program with an argument), so that its CPU time can be
//! distinguished from the driver's. Answers go only to `reply_to`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use broker::{Bus, Delivery, DeliveryHandler, Settlement};
use bytes::Bytes;
use contracts::{
    AccountId, Begin, Begun, Claimant, Claimed, CommandId, Epoch, Event, EventId, Names, Note,
    Parked, Place, Properties, Settle, ShardCount,
};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use owner_worker::{
    Config, EventSink, NotStored, OnParked, OnStored, Outcome, Ports, Replies, Request, Worker,
};
use runtime::{CancellationToken, Clock, Stage};
use settings::{SettingSources, Settings};
use tdlib::{Library, Tdlib};
use tokio::sync::watch;

/// The argument that makes this program the worker.
pub(crate) const ARGUMENT: &str = "--bare-worker";

/// Owns every shard until it is killed.
pub(crate) async fn run() {
    let settings = settings::load(SettingSources { file: None, environment: None }).unwrap();
    settings.log.telemetry().install();
    let count = ShardCount::new(settings.shard_count).unwrap();
    let failed = CancellationToken::new();
    let [accounts, intake] = ["accounts", "intake"].map(|name| Stage::new(name, &failed));
    let crashes = settings.worker.data_dir.join("crashes");
    let library = Library::load(&settings.tdlib.library, 1, &crashes).unwrap();
    let tdlib = Tdlib::start(Arc::new(library), failed.clone()).unwrap();
    let config = config(&settings, count);
    let ports = Ports { sink: Arc::new(Nothing::new()), replies: Arc::new(NoReplies) };
    let worker = Arc::new(Worker::new(accounts, config, tdlib, ports, Clock::system()));
    let execute = Arc::new(Intake(Arc::clone(&worker)));
    let names = Names::new(&settings.namespace);
    let bus = Bus::start(&intake, &settings.broker, names, count, execute).unwrap();
    for shard in count.shards() {
        worker.open_shard(shard, Epoch(1), true).await.unwrap();
        bus.subscribe(shard);
    }
    failed.cancelled().await;
}

fn config(settings: &Settings, shard_count: ShardCount) -> Config {
    let methods = settings.worker.call_tdlib_methods.iter();
    let accounts = settings.worker.accounts.iter();
    Config {
        data_dir: settings.worker.data_dir.clone(),
        accounts: accounts.map(|id| AccountId::new(i64::try_from(id).unwrap()).unwrap()).collect(),
        shard_count,
        credentials: settings.telegram.credentials().unwrap(),
        telegram: settings.telegram.clone(),
        timeout: Duration::from_secs(settings.tdlib.timeout_s),
        opening: settings.worker.opening.into(),
        spool: settings.worker.spool(),
        call_tdlib_methods: methods.map(str::to_owned).collect(),
    }
}

struct Intake(Arc<Worker>);

impl DeliveryHandler for Intake {
    fn handle(&self, delivery: Delivery) {
        let Delivery { body, key, properties, redelivered, expired, ticket, .. } = delivery;
        let request = Request { body, key, properties, redelivered, expired };
        let done = move |outcome| match outcome {
            Outcome::Answered(event) => ticket.settle(Settlement::Answered { event }),
            _ => ticket.settle(Settlement::Kept),
        };
        self.0.submit(request, Box::new(done));
    }
}

struct NoReplies;

impl Replies for NoReplies {
    fn reply(&self, _: &Properties, _: Bytes) {}
}

/// Stores nothing, and treats every command as new. It still encodes the events: they are the replies.
struct Nothing {
    numbers: AtomicU64,
    up: watch::Sender<bool>,
}

impl Nothing {
    fn new() -> Self {
        Self { numbers: AtomicU64::new(0), up: watch::Sender::new(true) }
    }
}

impl EventSink for Nothing {
    fn append(&self, _: Claimant, event: Event, _: Option<Settle>, stored: Option<OnStored>) {
        let n = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let mut json = Vec::with_capacity(512);
        event.encode(EventId { epoch: Epoch(1), n }, None, &mut json);
        if let Some(stored) = stored {
            stored(Ok(json.into()));
        }
    }

    fn claim(&self, _: Claimant) -> BoxFuture<'_, Result<Claimed, NotStored>> {
        ready(Ok(Claimed::default())).boxed()
    }

    fn begin(&self, _: Claimant, _: Begin) -> BoxFuture<'static, Result<Begun, NotStored>> {
        ready(Ok(Begun::Go)).boxed()
    }

    fn leave(&self, _: Claimant, _: CommandId) {}

    fn park(&self, _: Claimant, _: Vec<Parked>, stored: OnParked) {
        stored(Ok(()));
    }

    fn unpark(&self, _: Claimant, _: Place) {}

    fn note(&self, _: Claimant, _: Note) {}

    fn pressed(&self) -> bool {
        false
    }

    fn up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }
}
