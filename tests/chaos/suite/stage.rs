//! What a run needs: servers, Telegram's stand-in, one store, and the workers on it.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contracts::{AccountId, ShardCount};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{PatchedLibrary, Sandbox};
use tempfile::TempDir;
use test_servers::rabbitmq::RabbitServer;
use test_servers::redis::{Persistence, RedisServer};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::Options;
use super::timeline::Timeline;

const SHARDS: u16 = 12;
/// Redis hash of the leases.
const SHARDS_KEY: &str = "tdfleet:{fleet}:shards";
/// Seconds that a worker may take to hand over what it has.
const GRACE_S: u64 = 8;
/// How soon a worker that has ended is started again.
const RESPAWN: Duration = Duration::from_millis(500);
/// A worker's exit code when it refuses its settings.
const WRONG_SETTINGS: i32 = 78;

/// A worker's place: its process is started again whenever it ends.
pub(crate) struct Slot {
    name: String,
    /// Its process, if it runs.
    pid: Mutex<Option<Pid>>,
    /// How long its place stays empty when it ends next.
    pause: Mutex<Duration>,
}

/// Servers, sandbox, store and workers.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) timeline: Arc<Timeline>,
    rabbit: Mutex<RabbitServer>,
    redis: Mutex<RedisServer>,
    library: PatchedLibrary,
    slots: Vec<Slot>,
    dir: Mutex<Option<TempDir>>,
    path: PathBuf,
    accounts: u32,
    lease_s: u64,
    pub(crate) rabbit_uri: String,
    pub(crate) redis_uri: String,
}

/// The address that a worker reaches Redis by, and nobody else.
pub(crate) fn redis_address(worker: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 1, octet(worker), 1)
}

/// The same for RabbitMQ.
pub(crate) fn rabbit_address(worker: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 1, octet(worker), 2)
}

fn octet(worker: usize) -> u8 {
    u8::try_from(worker + 1).expect("some workers")
}

impl Stage {
    /// Everything runs but the workers.
    pub(crate) async fn start(options: &Options, timeline: Arc<Timeline>) -> Self {
        let routes = fs::read_to_string("/proc/net/route").unwrap();
        assert!(
            routes.lines().count() <= 1,
            "run by `make chaos`: TDLib belongs into a network namespace with nothing but loopback"
        );
        let accounts = options.accounts;
        let sandbox =
            sandbox::SandboxOptions { accounts, recorded_calls: 3_000_000, ..Default::default() };
        let sandbox = sandbox::start(sandbox).await.unwrap();
        let library = sandbox.patch_library(&tdlib()).unwrap();
        let workers = 0..options.workers;
        let slots = workers.clone().map(|worker| Slot {
            name: format!("w{}", worker + 1),
            pid: Mutex::default(),
            pause: Mutex::new(RESPAWN),
        });
        let slots = slots.collect();
        let servers = tokio::task::spawn_blocking(|| {
            let redis = RedisServer::new(Persistence::AppendOnly);
            let mut redis = redis.also_on(workers.clone().map(redis_address));
            let mut rabbit = RabbitServer::new().also_on(workers.map(rabbit_address));
            redis.restart();
            rabbit.restart();
            (rabbit, redis)
        });
        let (rabbit, redis) = servers.await.unwrap();
        let dir = TempDir::with_prefix("chaos-").unwrap();
        let path = dir.path().to_owned();
        Self {
            rabbit_uri: rabbit.uri(),
            redis_uri: redis.uri(),
            rabbit: Mutex::new(rabbit),
            redis: Mutex::new(redis),
            sandbox,
            timeline,
            library,
            slots,
            dir: Mutex::new(Some(dir)),
            path,
            accounts,
            lease_s: options.lease_s,
        }
    }

    pub(crate) fn workers(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn shards() -> ShardCount {
        ShardCount::new(SHARDS).expect("some shards")
    }

    /// The shard of an account.
    pub(crate) fn shard_of(account: u32) -> contracts::Shard {
        Self::shards().shard_of(AccountId::new(account.into()).expect("counted from 1"))
    }

    /// Where the account's databases are.
    pub(crate) fn directory(&self, account: u32) -> PathBuf {
        self.path.join(format!("data/accounts/{account}"))
    }

    /// Lets the run's files stay, and says where.
    pub(crate) fn keep(&self) -> PathBuf {
        lock(&self.dir).take().map_or_else(|| self.path.clone(), TempDir::keep)
    }

    /// Writes down that every shard is free and was left in good order, as on a fleet that has run
    /// before: the first start then waits for no lease.
    pub(crate) async fn free_shards(&self) {
        let client = deadpool_redis::redis::Client::open(self.redis_uri.as_str()).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();
        let record = r#"{"epoch":0,"owner":"","beat":0,"store":"","clean":true}"#;
        let mut set = deadpool_redis::redis::cmd("HSET");
        set.arg(SHARDS_KEY);
        for shard in Self::shards().shards() {
            set.arg(shard.to_string()).arg(record);
        }
        set.query_async::<()>(&mut redis).await.unwrap();
    }

    /// Runs one worker, and starts it again whenever it has ended, until this is dropped.
    pub(crate) async fn run_worker(&self, worker: usize) {
        let slot = &self.slots[worker];
        loop {
            let mut child = self.spawn(worker);
            let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            *lock(&slot.pid) = pid;
            let status = child.wait().await.unwrap();
            *lock(&slot.pid) = None;
            self.timeline.note(format!("{} has ended: {status}", slot.name));
            assert_ne!(status.code(), Some(WRONG_SETTINGS), "the settings are not taken");
            let pause = std::mem::replace(&mut *lock(&slot.pause), RESPAWN);
            sleep(pause).await;
        }
    }

    fn spawn(&self, worker: usize) -> Child {
        let slot = &self.slots[worker];
        let log = self.path.join(format!("{}.log", slot.name));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tdfleet"));
        command
            .arg("worker")
            .env_clear()
            .envs(self.settings(worker))
            .current_dir(&self.path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        command.spawn().unwrap()
    }

    fn settings(&self, worker: usize) -> Vec<(String, String)> {
        let proxy = self.sandbox.address();
        let on = |uri: &str, address: Ipv4Addr| uri.replace("127.0.0.1", &address.to_string());
        let settings = [
            ("SHARD_COUNT", SHARDS.to_string()),
            ("BROKER__URI", on(&self.rabbit_uri, rabbit_address(worker))),
            ("PUBLISHER__URI", on(&self.redis_uri, redis_address(worker))),
            ("PUBLISHER__MAX_EVENTS", "1000000".to_owned()),
            ("OWNERSHIP__NAME", self.slots[worker].name.clone()),
            ("OWNERSHIP__LEASE_S", self.lease_s.to_string()),
            ("OWNERSHIP__JOIN_DELAY_S", "1".to_owned()),
            ("OWNERSHIP__DWELL_S", "2".to_owned()),
            ("WORKER__ACCOUNTS", format!("1-{}", self.accounts)),
            ("WORKER__DATA_DIR", self.path.join("data").display().to_string()),
            ("WORKER__GRACE_S", GRACE_S.to_string()),
            ("WORKER__CALL_TDLIB_METHODS", "setBio, addLogMessage".to_owned()),
            ("TDLIB__LIBRARY", self.library.path().display().to_string()),
            ("TELEGRAM__API_ID", "1".to_owned()),
            ("TELEGRAM__API_HASH", "sandbox".to_owned()),
            ("TELEGRAM__MASTER_KEY", "0123456789abcdef".to_owned()),
            ("TELEGRAM__PROXY__SERVER", proxy.ip().to_string()),
            ("TELEGRAM__PROXY__PORT", proxy.port().to_string()),
            ("TELEGRAM__PROXY__SECRET", self.sandbox.secret().to_owned()),
            ("LOG__FILTER", "info".to_owned()),
        ];
        settings.into_iter().map(|(name, value)| (format!("TDFLEET__{name}"), value)).collect()
    }

    /// The worker that owns an account, by the leases' record.
    pub(crate) async fn owner_of(&self, account: u32) -> Option<usize> {
        let client = deadpool_redis::redis::Client::open(self.redis_uri.as_str()).ok()?;
        let mut redis = client.get_multiplexed_async_connection().await.ok()?;
        let mut get = deadpool_redis::redis::cmd("HGET");
        get.arg(SHARDS_KEY).arg(Self::shard_of(account).to_string());
        let record: String = get.query_async(&mut redis).await.ok()?;
        let record: serde_json::Value = serde_json::from_str(&record).ok()?;
        let name = record["owner"].as_str()?.split('/').next()?;
        self.slots.iter().position(|slot| slot.name == name)
    }

    /// The worker's process, if it runs.
    pub(crate) fn pid(&self, worker: usize) -> Option<Pid> {
        *lock(&self.slots[worker].pid)
    }

    /// Sends a worker's process a signal, if it runs.
    pub(crate) fn signal(&self, worker: usize, signal: Signal) {
        if let Some(pid) = self.pid(worker) {
            // It may end by itself at this moment.
            kill_process(pid, signal).ok();
        }
    }

    /// Leaves the worker's place empty for so long when it ends next.
    pub(crate) fn rest(&self, worker: usize, pause: Duration) {
        *lock(&self.slots[worker].pause) = pause;
    }

    /// Works on RabbitMQ, which takes its time.
    pub(crate) fn rabbit<T>(&self, work: impl FnOnce(&mut RabbitServer) -> T) -> T {
        tokio::task::block_in_place(|| work(&mut lock(&self.rabbit)))
    }

    /// Works on Redis, which takes its time.
    pub(crate) fn redis<T>(&self, work: impl FnOnce(&mut RedisServer) -> T) -> T {
        tokio::task::block_in_place(|| work(&mut lock(&self.redis)))
    }
}

fn tdlib() -> PathBuf {
    let brought = "../../.tdlib/libtdjson.so.1.8.61";
    let path = std::env::var_os("TDFLEET_TDLIB_LIBRARY")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(brought), PathBuf::from);
    assert!(path.is_file(), "no libtdjson at {}: run `make tdlib`", path.display());
    path
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
