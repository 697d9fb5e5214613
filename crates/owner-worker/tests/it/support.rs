pub(crate) mod log;
pub(crate) mod objects;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::{AccountId, Epoch, Flow, Properties, RoutingKey, ShardCount};
use owner_worker::{CommandOutcome, Worker, WorkerConfig, WorkerPorts, WorkerRequest};
use runtime::{CancellationToken, Clock, Stage};
use serde_json::{Value, json};
use settings::{
    CallerSettings, PacingSettings, ProxySettings, TelegramCredentials, TelegramSettings,
};
use tdlib::{GuardError, Tdlib};
use tempfile::TempDir;
use testkit::{Reply, Scripted};
use tokio::sync::oneshot;
use tokio::time::timeout;

pub(crate) use log::MemoryLog;

/// Time limit of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The start time of a world's clock, in Unix milliseconds: 2026-11-18T11:06:40Z.
pub(crate) const NOW_MS: i64 = 1_795_000_000_000;

pub(crate) const EPOCH: Epoch = Epoch(42);

/// Options of a world.
pub(crate) struct Options {
    /// The authorization state that TDLib reports when it gets an account's parameters.
    pub(crate) state: &'static str,
    /// Time limit of one TDLib call.
    pub(crate) timeout: Duration,
    /// How long a lane waits for a late answer.
    pub(crate) late_timeout: Duration,
    pub(crate) pacing: PacingSettings,
    pub(crate) call_tdlib_methods: &'static [&'static str],
    /// How many accounts may be opening at the same time.
    pub(crate) opening: usize,
    /// Size limit of an account's spool, in bytes.
    pub(crate) spool: u64,
    pub(crate) show_service_codes: bool,
    pub(crate) callers: Vec<CallerSettings>,
    /// Whether the accounts have a proxy.
    pub(crate) proxy: bool,
    /// Whether TDLib is kept to it.
    pub(crate) proxy_guard: Result<(), GuardError>,
    /// A new one if `None`.
    pub(crate) data_dir: Option<Arc<TempDir>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            state: "authorizationStateReady",
            timeout: PATIENCE,
            late_timeout: PATIENCE,
            pacing: PacingSettings::fastest(),
            call_tdlib_methods: &[],
            opening: 8,
            spool: 1 << 20,
            show_service_codes: false,
            callers: Vec::new(),
            proxy: false,
            proxy_guard: Ok(()),
            data_dir: None,
        }
    }
}

/// A worker that owns the accounts 1 and 2.
pub(crate) struct World {
    pub(crate) tdlib: Arc<Scripted>,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) clock: Clock,
    pub(crate) worker: Worker,
    pub(crate) data_dir: Arc<TempDir>,
    epoch: Epoch,
    count: ShardCount,
}

/// A message as the bus delivers it.
#[derive(Clone, Default)]
pub(crate) struct Message {
    pub(crate) body: Value,
    pub(crate) flow: Flow,
    pub(crate) properties: Properties,
    pub(crate) redelivered: bool,
}

/// The outcome of a request, once it arrives.
pub(crate) struct Answer(oneshot::Receiver<CommandOutcome>);

impl World {
    /// A world whose accounts are ready.
    pub(crate) async fn ready() -> Self {
        Self::with(Options::default()).await
    }

    /// A world whose accounts are open, in the options' state.
    pub(crate) async fn with(options: Options) -> Self {
        let world = Self::closed(&options);
        world.come_to(options.state).await;
        world
    }

    /// Opens both accounts and waits until they have left `starting`.
    pub(crate) async fn come_to(&self, state: &str) {
        let parameters = Reply::ok().then_update(authorization(state));
        self.tdlib.answer("setTdlibParameters", parameters);
        self.open().await;
        let own = format!("{}-", self.epoch);
        for account in [1, 2] {
            let settled = |event: &Value| event["result"]["state"] != "starting";
            self.log
                .next_event(account, "account_state", |event| {
                    let id = event["_meta"]["event_id"].as_str().unwrap();
                    id.starts_with(&own) && settled(event)
                })
                .await;
        }
    }

    /// The world after this worker's process was killed: a new worker that owns nothing yet, with
    /// the same log and data directory.
    pub(crate) fn crash(self) -> Self {
        let Self { log, data_dir, epoch, clock, .. } = &self;
        let options = Options { data_dir: Some(Arc::clone(data_dir)), ..Options::default() };
        let next = Self::over(&options, log.crash_worker(), Epoch(epoch.0 + 1));
        let passed = clock.now().as_millisecond() - NOW_MS;
        next.clock.advance_ms(passed);
        next
    }

    /// A world whose worker owns nothing yet.
    pub(crate) fn closed(options: &Options) -> Self {
        Self::over(options, MemoryLog::new(), EPOCH)
    }

    fn over(options: &Options, log: Arc<MemoryLog>, epoch: Epoch) -> Self {
        let failed = CancellationToken::new();
        let scripted = Scripted::new();
        let nobody = json!({"@type": "users", "total_count": 0, "user_ids": []});
        scripted.answer("getContacts", Reply::object(nobody));
        let script: Arc<Scripted> = Arc::clone(&scripted);
        let tdlib = Tdlib::start(script, failed.clone()).unwrap();
        let new = || Arc::new(tempfile::tempdir().unwrap());
        let data_dir = options.data_dir.clone().unwrap_or_else(new);
        let count = ShardCount::new(64).unwrap();
        let proxy = options.proxy.then(|| ProxySettings {
            server: "192.0.2.1".to_owned(),
            port: 443,
            secret: "dd".repeat(17).into(),
        });
        let config = WorkerConfig {
            data_dir: data_dir.path().to_owned(),
            accounts: [1, 2].into_iter().filter_map(AccountId::new).collect(),
            shard_count: count,
            telegram: TelegramSettings { proxy, ..TelegramSettings::default() },
            proxy_guard: options.proxy_guard.clone(),
            credentials: TelegramCredentials {
                api_id: 1,
                api_hash: "0".repeat(32).into(),
                master_key: "a master key of a test".to_owned().into(),
            },
            timeout: options.timeout,
            late_timeout: options.late_timeout,
            opening: options.opening,
            spool: options.spool,
            pacing: options.pacing.clone(),
            deadline: Duration::from_hours(24),
            call_tdlib_methods: options
                .call_tdlib_methods
                .iter()
                .map(ToString::to_string)
                .collect(),
            show_service_codes: options.show_service_codes,
            callers: options.callers.clone(),
        };
        let ports = WorkerPorts {
            log: Arc::<MemoryLog>::clone(&log),
            replies: Arc::<MemoryLog>::clone(&log),
        };
        let clock = Clock::manual(NOW_MS);
        let stage = Stage::new("accounts", &failed);
        let worker = Worker::new(stage, config, tdlib, ports, clock.clone());
        Self { tdlib: scripted, log, clock, worker, data_dir, epoch, count }
    }

    /// Takes over the shards of both accounts.
    pub(crate) async fn open(&self) {
        for account in [1, 2] {
            self.open_account(account).await;
        }
    }

    /// Takes over the shard of one account.
    pub(crate) async fn open_account(&self, account: i64) {
        let shard = self.count.shard_of(AccountId::new(account).unwrap());
        self.worker.open_shard(shard, self.epoch, true).await.unwrap();
    }

    /// Closes the shard of account 1.
    pub(crate) async fn close(&self, grace: Duration) {
        let shard = self.count.shard_of(AccountId::new(1).unwrap());
        timeout(PATIENCE, self.worker.close_shard(shard, grace)).await.unwrap();
    }

    /// Submits a request in the high-priority flow.
    pub(crate) fn submit(&self, body: &Value) -> Answer {
        self.submit_bytes(body.to_string().as_bytes(), None, false)
    }

    /// Submits a request of account 1 in the low-priority flow.
    pub(crate) fn submit_bulk(&self, body: &Value) -> Answer {
        let (account, command) = (AccountId::new(1).unwrap(), body["command"].as_str().unwrap());
        let key = RoutingKey::new(Flow::Lo, self.count, account, command);
        self.submit_bytes(body.to_string().as_bytes(), Some(&key), false)
    }

    pub(crate) fn submit_bytes(
        &self,
        body: &[u8],
        key: Option<&RoutingKey>,
        redelivered: bool,
    ) -> Answer {
        self.request(WorkerRequest {
            body: Bytes::copy_from_slice(body),
            key: key.cloned().unwrap_or_else(|| self.key_of(body)),
            properties: Properties::default(),
            refusal: None,
            redelivered,
            expired: false,
        })
    }

    /// The key that a careful caller would choose for this body; account 1's, if it names none.
    fn key_of(&self, body: &[u8]) -> RoutingKey {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let account = body["userbot_id"].as_i64().and_then(AccountId::new);
        let account = account.unwrap_or_else(|| AccountId::new(1).unwrap());
        RoutingKey::new(
            Flow::Hi,
            self.count,
            account,
            body["command"].as_str().unwrap_or("command"),
        )
    }

    /// Submits a message as the bus delivers it.
    pub(crate) fn deliver(&self, message: &Message) -> Answer {
        let Message { body, flow, properties, redelivered } = message.clone();
        let account = AccountId::new(body["userbot_id"].as_i64().unwrap()).unwrap();
        let key = RoutingKey::new(flow, self.count, account, body["command"].as_str().unwrap());
        let body = Bytes::from(body.to_string());
        let (refusal, expired) = (None, false);
        self.request(WorkerRequest { body, key, properties, refusal, redelivered, expired })
    }

    /// Submits a request.
    pub(crate) fn request(&self, request: WorkerRequest) -> Answer {
        let (sender, answer) = oneshot::channel();
        self.worker.submit(request, Box::new(move |outcome| drop(sender.send(outcome))));
        Answer(answer)
    }

    /// Runs a command of account 1 and returns its result.
    pub(crate) async fn result(&self, command: &str, fields: &Value) -> Value {
        let payload = self.submit(&request(command, fields)).payload().await;
        assert_eq!(payload["type"], command, "{payload}");
        payload["result"].clone()
    }

    /// Runs a command of account 1 that fails, and returns the payload of its event.
    pub(crate) async fn failure(&self, command: &str, fields: &Value) -> Value {
        let payload = self.submit(&request(command, fields)).payload().await;
        assert_eq!(payload["type"], format!("{command}_error"), "{payload}");
        payload
    }

    /// Checks that a request is rejected as invalid, with this error.
    pub(crate) async fn refused(&self, command: &str, fields: &Value, error: &str) {
        let payload = self.failure(command, fields).await;
        assert_eq!(payload["error"], error, "{command} {fields}");
        let info = json!({"code": "invalid_request", "source": "validation", "retriable": false});
        assert_eq!(payload["error_info"], info, "{command} {fields}");
    }

    /// The TDLib methods that were called, without those of opening.
    pub(crate) fn methods(&self) -> Vec<String> {
        let requests = self.tdlib.requests().into_iter().map(|request| request.method);
        requests.filter(|method| method != "setTdlibParameters").collect()
    }

    /// The fields of each call of this method.
    pub(crate) fn sent(&self, method: &str) -> Vec<Value> {
        let requests = self.tdlib.requests().into_iter();
        requests.filter(|request| request.method == method).map(|one| one.fields).collect()
    }
}

impl Answer {
    /// The outcome; `None` if the request was left to redelivery.
    pub(crate) async fn outcome(self) -> Option<CommandOutcome> {
        timeout(PATIENCE, self.0).await.unwrap().ok()
    }

    /// The payload of the answer's event.
    pub(crate) async fn payload(self) -> Value {
        match self.outcome().await {
            Some(CommandOutcome::Answered(event)) => {
                let event: Value = serde_json::from_slice(&event).unwrap();
                assert_eq!(event["type"], "chat_update");
                event["payload"].clone()
            }
            other => panic!("no answer but {other:?}"),
        }
    }

    /// The answer's error string.
    pub(crate) async fn error(self) -> String {
        self.payload().await["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the outcome has not arrived yet.
    pub(crate) fn waits(&mut self) -> bool {
        self.0.try_recv() == Err(oneshot::error::TryRecvError::Empty)
    }
}

/// A request of account 1 with these fields.
pub(crate) fn request(command: &str, fields: &Value) -> Value {
    let mut body = json!({"command": command, "userbot_id": 1});
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// An `updateAuthorizationState`.
pub(crate) fn authorization(state: &str) -> Value {
    let mut state = json!({"@type": state});
    if state["@type"] == "authorizationStateWaitCode" {
        let sent = json!({"@type": "authenticationCodeTypeSms", "length": 5});
        state["code_info"] = json!({"@type": "authenticationCodeInfo", "phone_number": "15550100",
            "type": sent, "next_type": null, "timeout": 60});
    }
    json!({"@type": "updateAuthorizationState", "authorization_state": state})
}
