//! The same worker without event log and ledger, to measure what those cost.
//!
//! It runs in a separate process (this program with an argument), so that its CPU time can be
//! distinguished from the driver's. Answers go only to `reply_to`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broker::{Bus, BusIdentity, Delivery, DeliveryHandler, Settlement};
use bytes::Bytes;
use contracts::{AccountId, Epoch, Event, EventId, LedgerKey, Names, Properties, ShardCount};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use log_port::{
    AccountLog, Admission, AdmissionVerdict, CommandCompletion, HeadField, LogHead, LogPort,
    NotStored, OnPending, OnStored, OwnerToken, PendingCommand, PendingPosition,
};
use owner_worker::{CommandOutcome, ReplySender, Worker, WorkerConfig, WorkerPorts, WorkerRequest};
use runtime::{CancellationToken, Clock, MacKey, Stage};
use settings::{SettingSources, Settings};
use tdlib::{Library, LibraryFile, Tdlib};
use tokio::sync::watch;

/// The argument that makes this program the worker.
pub(crate) const ARGUMENT: &str = "--bare-worker";

/// Owns every shard until it is killed.
pub(crate) async fn run() {
    let settings = settings::load(SettingSources::default()).unwrap();
    settings.log.telemetry().install();
    let count = ShardCount::new(settings.shard_count).unwrap();
    let failed = CancellationToken::new();
    let [accounts, intake] = ["accounts", "intake"].map(|name| Stage::new(name, &failed));
    let crashes = settings.worker.data_dir.join("crashes");
    let sha256 = settings.tdlib.sha256.as_deref();
    let file = LibraryFile::verify(&settings.tdlib.library, sha256).unwrap();
    let library = Library::load(&file, 1, &crashes).unwrap();
    let tdlib = Tdlib::start(Arc::new(library), failed.clone()).unwrap();
    let config = config(&settings, count);
    let ports = WorkerPorts { log: Arc::new(NoLog::new()), replies: Arc::new(NoReplies) };
    let worker = Arc::new(Worker::new(accounts, config, tdlib, ports, Clock::system()));
    let execute = Arc::new(Intake(Arc::clone(&worker)));
    let names = Names::new(&settings.namespace);
    let identity = BusIdentity { names, count, key: MacKey::derive("figures", "tdfleet bus") };
    let bus = Bus::start(&intake, &settings.broker, &settings.limits, identity, execute).unwrap();
    for shard in count.shards() {
        worker.open_shard(shard, Epoch(1), true).await.unwrap();
        bus.subscribe(shard);
    }
    failed.cancelled().await;
}

fn config(settings: &Settings, shard_count: ShardCount) -> WorkerConfig {
    let methods = settings.worker.call_tdlib_methods.iter();
    let accounts = settings.worker.accounts.iter();
    WorkerConfig {
        data_dir: settings.worker.data_dir.clone(),
        accounts: accounts.map(|id| AccountId::new(i64::try_from(id).unwrap()).unwrap()).collect(),
        shard_count,
        proxy_guard: Ok(()),
        credentials: settings.telegram.credentials().unwrap(),
        telegram: settings.telegram.clone(),
        timeout: settings.tdlib.timeout(),
        late_timeout: settings.tdlib.late_timeout(),
        opening: settings.worker.opening.into(),
        pacing: settings.pacing.clone(),
        spool: settings.worker.spool(),
        show_service_codes: false,
        callers: Vec::new(),
        deadline: settings.limits.deadline(),
        call_tdlib_methods: methods.map(str::to_owned).collect(),
    }
}

struct Intake(Arc<Worker>);

impl DeliveryHandler for Intake {
    fn handle(&self, delivery: Delivery) {
        let Delivery { body, key, properties, refusal, redelivered, expired, ticket, .. } =
            delivery;
        let request = WorkerRequest { body, key, properties, refusal, redelivered, expired };
        let done = move |outcome| match outcome {
            CommandOutcome::Answered(event) => ticket.settle(Settlement::Answered { event }),
            _ => ticket.settle(Settlement::Kept),
        };
        self.0.submit(request, Box::new(done));
    }
}

struct NoReplies;

impl ReplySender for NoReplies {
    fn reply(&self, _: &Properties, _: Bytes) {}
}

/// Stores nothing, and admits every command. Events are encoded all the same: they are the replies.
struct NoLog {
    up: watch::Sender<bool>,
}

impl NoLog {
    fn new() -> Self {
        Self { up: watch::Sender::new(true) }
    }
}

impl LogPort for NoLog {
    fn claim(
        &self,
        token: OwnerToken,
    ) -> BoxFuture<'_, Result<(Arc<dyn AccountLog>, LogHead), NotStored>> {
        let log = NoAccountLog { token, last: AtomicU64::new(0) };
        ready(Ok((Arc::new(log) as Arc<dyn AccountLog>, LogHead::default()))).boxed()
    }

    fn unserved(&self, account: AccountId, epoch: Epoch) -> Arc<dyn AccountLog> {
        let token = OwnerToken { account, epoch, served: false };
        Arc::new(NoAccountLog { token, last: AtomicU64::new(0) })
    }

    fn is_behind(&self) -> bool {
        false
    }

    fn up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }
}

struct NoAccountLog {
    token: OwnerToken,
    /// Number of the last event.
    last: AtomicU64,
}

impl AccountLog for NoAccountLog {
    fn token(&self) -> OwnerToken {
        self.token
    }

    fn append(&self, event: Event, _: Option<CommandCompletion>, on_stored: Option<OnStored>) {
        let n = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut json = Vec::with_capacity(512);
        event.encode(EventId { epoch: self.token.epoch, n }, None, &mut json);
        if let Some(on_stored) = on_stored {
            on_stored(Ok(json.into()));
        }
    }

    fn admit(&self, _: Admission) -> BoxFuture<'static, Result<AdmissionVerdict, NotStored>> {
        ready(Ok(AdmissionVerdict::Proceed)).boxed()
    }

    fn undo_dispatch(&self, _: LedgerKey) {}

    fn push_pending(&self, _: Vec<PendingCommand>, on_pending: OnPending) {
        on_pending(Ok(()));
    }

    fn remove_pending(&self, _: PendingPosition) {}

    fn set_head_field(&self, _: HeadField) {}
}
