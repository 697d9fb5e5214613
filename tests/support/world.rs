use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use deadpool_redis::redis;
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{PatchedLibrary, Sandbox, SandboxOptions};
use tempfile::TempDir;
use test_servers::rabbitmq::RabbitServer;
use test_servers::redis::{Persistence, RedisServer};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::Backend;

/// Servers, sandbox and store of one test; all private, all gone with it.
pub(crate) struct World {
    pub(crate) rabbit: RabbitServer,
    pub(crate) redis: RedisServer,
    pub(crate) sandbox: Sandbox,
    library: PatchedLibrary,
    dir: TempDir,
    accounts: u32,
}

/// How many shards the tests' installations have.
pub(crate) const SHARDS: u16 = 4;

impl World {
    /// Everything runs but the worker.
    pub(crate) async fn start(accounts: u32) -> Self {
        let world = Self::without_servers(accounts).await;
        let Self { mut rabbit, mut redis, sandbox, library, dir, accounts } = world;
        (rabbit, redis) = tokio::task::spawn_blocking(move || {
            redis.restart();
            rabbit.restart();
            (rabbit, redis)
        })
        .await
        .unwrap();
        free_shards(&redis.uri()).await;
        Self { rabbit, redis, sandbox, library, dir, accounts }
    }

    /// The servers' ports are chosen, and nobody listens there yet.
    pub(crate) async fn without_servers(accounts: u32) -> Self {
        let routes = fs::read_to_string("/proc/net/route").unwrap();
        assert!(
            routes.lines().count() <= 1,
            "run by `make test`: TDLib's tests belong into a network namespace with nothing but loopback"
        );
        let sandbox =
            sandbox::start(SandboxOptions { accounts, ..SandboxOptions::default() }).await.unwrap();
        let library = sandbox.patch_library(&tdlib()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let rabbit = RabbitServer::new();
        let redis = RedisServer::new(Persistence::AppendOnly);
        Self { rabbit, redis, sandbox, library, dir, accounts }
    }

    /// A worker's process that owns all shards.
    pub(crate) fn worker(&self) -> Worker {
        self.tdfleet(&["worker"], &[])
    }

    /// Any `tdfleet` process with this world's settings; `environment` stands above them.
    pub(crate) fn tdfleet(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Worker {
        self.process(Path::new(env!("CARGO_BIN_EXE_tdfleet")), arguments, environment)
    }

    /// The same of any program.
    pub(crate) fn process(
        &self,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Worker {
        let log = self.dir.path().join(format!("{}.log", unique_name()));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.settings())
            .envs(environment.iter().copied())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true);
        Worker { child: command.spawn().unwrap(), log }
    }

    fn settings(&self) -> Vec<(String, String)> {
        let proxy = self.sandbox.address();
        let settings = [
            ("SHARD_COUNT", SHARDS.to_string()),
            ("BROKER__URI", self.rabbit.uri()),
            ("PUBLISHER__URI", self.redis.uri()),
            ("WORKER__ACCOUNTS", format!("1-{}", self.accounts)),
            ("WORKER__DATA_DIR", self.dir.path().join("data").display().to_string()),
            ("WORKER__GRACE_S", "20".to_owned()),
            ("TDLIB__LIBRARY", self.library.path().display().to_string()),
            ("TELEGRAM__API_ID", "1".to_owned()),
            ("TELEGRAM__API_HASH", "sandbox".to_owned()),
            ("TELEGRAM__MASTER_KEY", "0123456789abcdef".to_owned()),
            ("TELEGRAM__PROXY__SERVER", proxy.ip().to_string()),
            ("TELEGRAM__PROXY__PORT", proxy.port().to_string()),
            ("TELEGRAM__PROXY__SECRET", self.sandbox.secret().to_owned()),
            ("LOG__FILTER", "info,tdfleet=debug,owner_worker=debug,broker=debug".to_owned()),
        ];
        settings.into_iter().map(|(name, value)| (format!("TDFLEET__{name}"), value)).collect()
    }

    /// A backend service: it knows AMQP and Redis, and nothing else.
    pub(crate) async fn backend(&self) -> Backend {
        Backend::connect(&self.rabbit.uri(), &self.redis.uri()).await
    }

    /// The same, once a worker has declared the exchange; what its queues are not bound to yet goes
    /// through the alternate one.
    pub(crate) async fn backend_when_declared(&self) -> Backend {
        let declared = async {
            loop {
                let backend = self.backend().await;
                if backend.has_exchange().await {
                    return backend;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, declared).await.expect("no worker declares the exchange")
    }

    /// Waits until some client has called a method of Telegram's.
    pub(crate) async fn called(&self, method: &str) {
        let called = async {
            while self.sandbox.count_calls(None, Some(method)) == 0 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, called).await.expect("the method is not called");
    }

    /// Logs an account in by the commands `start` and `send_code`.
    pub(crate) async fn log_in(&self, backend: &mut Backend, account: u32) {
        self.log_in_as(backend, account, account).await;
    }

    /// The same with the phone of another of the sandbox's accounts, which may be logged in to twice.
    pub(crate) async fn log_in_as(&self, backend: &mut Backend, account: u32, phone: u32) {
        let start = serde_json::json!({"phone": self.sandbox.phone(phone)});
        let answer = backend.call(account, "start", start).await;
        assert_eq!(answer["payload"]["result"]["state"], "wait_code", "{answer}");
        let code = serde_json::json!({"code": self.sandbox.code(phone)});
        let answer = backend.call(account, "send_code", code).await;
        assert_eq!(answer["payload"]["result"]["state"], "ready", "{answer}");
    }
}

/// Records as an earlier run of the installation leaves them: its shards are free. Without any, the
/// first worker waits in case another one still runs them.
async fn free_shards(redis: &str) {
    let client = redis::Client::open(redis).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let free = r#"{"epoch":0,"owner":"","beat":0,"store":"","clean":true}"#;
    for shard in 0..SHARDS {
        let mut set = redis::cmd("HSET");
        set.arg("tdfleet:{fleet}:shards").arg(format!("s{shard:03}")).arg(free);
        set.exec_async(&mut connection).await.unwrap();
    }
}

fn tdlib() -> PathBuf {
    let brought = "../../.tdlib/libtdjson.so.1.8.61";
    let path = std::env::var_os("TDFLEET_TDLIB_LIBRARY")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(brought), PathBuf::from);
    assert!(path.is_file(), "no libtdjson at {}: run `make tdlib`", path.display());
    path
}

fn unique_name() -> String {
    contracts::CommandId::random().to_string()
}

/// A `tdfleet` process.
pub(crate) struct Worker {
    pub(crate) child: Child,
    log: PathBuf,
}

/// Longest wait for anything a process does.
const PATIENCE: Duration = Duration::from_mins(1);

impl Worker {
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    pub(crate) fn kill9(&self) {
        kill_process(self.pid(), Signal::KILL).unwrap();
    }

    fn pid(&self) -> Pid {
        let pid = self.child.id().expect("the process runs");
        Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.log())).unwrap()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        read(&self.log)
    }

    /// Waits until it has logged `text`.
    pub(crate) async fn logged(&self, text: &str) {
        let logged = async {
            while !self.log().contains(text) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let logged = timeout(PATIENCE, logged).await;
        assert!(logged.is_ok(), "it does not log `{text}`:\n{}", self.log());
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
