//! The fleet under test: RabbitMQ, Redis, the sandbox, and workers on one data directory.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
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

use super::ChaosOptions;
use super::evidence::{Ms, now};
use super::timeline::Timeline;
use crate::installation::{WorkerSettings, free_shards, require_isolated_network, tdlib_library};

const SHARDS: u16 = 12;
/// Redis hash of the leases.
const SHARDS_KEY: &str = "tdfleet:{fleet}:shards";
/// Seconds that a worker may take to hand over its shards.
const GRACE_S: u64 = 8;
/// Delay before a worker that has ended is restarted.
const RESTART_DELAY: Duration = Duration::from_millis(500);
/// A worker's exit code when it rejects its settings.
const INVALID_SETTINGS: i32 = 78;

/// One worker, whose process is restarted whenever it ends.
pub(crate) struct WorkerSlot {
    name: String,
    /// Its process, if it runs.
    pid: Mutex<Option<Pid>>,
    /// Delay before the next restart.
    restart_delay: Mutex<Duration>,
}

/// Servers, sandbox, data directory and workers.
pub(crate) struct TestFleet {
    pub(crate) sandbox: Sandbox,
    pub(crate) timeline: Arc<Timeline>,
    rabbit: Mutex<RabbitServer>,
    redis: Mutex<RedisServer>,
    library: PatchedLibrary,
    slots: Vec<WorkerSlot>,
    dir: Mutex<Option<TempDir>>,
    path: PathBuf,
    accounts: u32,
    lease_s: u64,
    /// When and how each process ended.
    endings: Mutex<Vec<(Ms, String)>>,
    pub(crate) rabbit_uri: String,
    pub(crate) redis_uri: String,
}

/// The address at which this worker alone reaches Redis.
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

impl TestFleet {
    /// Starts everything but the workers.
    pub(crate) async fn start(options: &ChaosOptions, timeline: Arc<Timeline>) -> Self {
        require_isolated_network();
        let accounts = options.accounts;
        let sandbox =
            sandbox::SandboxOptions { accounts, recorded_calls: 3_000_000, ..Default::default() };
        let sandbox = sandbox::start(sandbox).await.unwrap();
        let library = sandbox.patch_library(&tdlib_library()).unwrap();
        let workers = 0..options.workers;
        let slots = workers.clone().map(|worker| WorkerSlot {
            name: format!("w{}", worker + 1),
            pid: Mutex::default(),
            restart_delay: Mutex::new(RESTART_DELAY),
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
            endings: Mutex::default(),
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

    /// The directory of the account's databases.
    pub(crate) fn directory(&self, account: u32) -> PathBuf {
        self.path.join(format!("data/accounts/{account}"))
    }

    /// The processes that have ended since then.
    pub(crate) fn endings_since(&self, from: Ms) -> Vec<String> {
        let endings = lock(&self.endings);
        endings.iter().filter(|(at, _)| from <= *at).map(|(_, ending)| ending.clone()).collect()
    }

    /// Writes a file of the host's that no account may send.
    pub(crate) fn write_private_file(&self) -> PathBuf {
        let path = self.path.join("private.txt");
        std::fs::write(&path, "hush").unwrap();
        path
    }

    /// Keeps the run's files, and returns their directory.
    pub(crate) fn keep_files(&self) -> PathBuf {
        lock(&self.dir).take().map_or_else(|| self.path.clone(), TempDir::keep)
    }

    /// Records every shard as released, so that the first start waits for no lease.
    pub(crate) async fn free_shards(&self) {
        free_shards(&self.redis_uri, "tdfleet", SHARDS).await;
    }

    /// Runs one worker and restarts it whenever it ends, until the future is dropped.
    pub(crate) async fn run_worker(&self, worker: usize) {
        let slot = &self.slots[worker];
        loop {
            let mut child = self.spawn(worker);
            let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            *lock(&slot.pid) = pid;
            let status = child.wait().await.unwrap();
            *lock(&slot.pid) = None;
            let ending = format!("{} ended: {status}", slot.name);
            self.timeline.note(&ending);
            lock(&self.endings).push((now(), ending));
            assert_ne!(status.code(), Some(INVALID_SETTINGS), "the settings are rejected");
            let delay = std::mem::replace(&mut *lock(&slot.restart_delay), RESTART_DELAY);
            sleep(delay).await;
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
            .envs(self.environment(worker))
            .current_dir(&self.path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        command.spawn().unwrap()
    }

    fn environment(&self, worker: usize) -> Vec<(String, String)> {
        let on = |uri: &str, address: Ipv4Addr| uri.replace("127.0.0.1", &address.to_string());
        let settings = WorkerSettings {
            sandbox: &self.sandbox,
            library: &self.library,
            rabbit_uri: on(&self.rabbit_uri, rabbit_address(worker)),
            redis_uri: on(&self.redis_uri, redis_address(worker)),
            shards: SHARDS,
            accounts: self.accounts,
            data_dir: self.path.join("data"),
            grace_s: GRACE_S,
        };
        settings.environment(&[
            ("PUBLISHER__MAX_EVENTS", "1000000"),
            ("OWNERSHIP__NAME", &self.slots[worker].name),
            ("OWNERSHIP__LEASE_S", &self.lease_s.to_string()),
            ("OWNERSHIP__JOIN_DELAY_S", "1"),
            ("OWNERSHIP__DWELL_S", "2"),
            ("WORKER__CALL_TDLIB_METHODS", "setBio, addLogMessage, sendMessage"),
            ("LOG__FILTER", "info"),
        ])
    }

    /// The worker that owns an account, according to the leases in Redis.
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
            // It may have ended by now.
            kill_process(pid, signal).ok();
        }
    }

    /// Delays the worker's next restart.
    pub(crate) fn delay_restart(&self, worker: usize, delay: Duration) {
        *lock(&self.slots[worker].restart_delay) = delay;
    }

    /// Controls RabbitMQ; blocks.
    pub(crate) fn rabbit<T>(&self, work: impl FnOnce(&mut RabbitServer) -> T) -> T {
        tokio::task::block_in_place(|| work(&mut lock(&self.rabbit)))
    }

    /// Controls Redis; blocks.
    pub(crate) fn redis<T>(&self, work: impl FnOnce(&mut RedisServer) -> T) -> T {
        tokio::task::block_in_place(|| work(&mut lock(&self.redis)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
