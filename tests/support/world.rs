use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sandbox::{PatchedLibrary, Sandbox, SandboxOptions};
use tempfile::TempDir;
use test_servers::rabbitmq::RabbitServer;
use test_servers::redis::{Persistence, RedisServer};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::{Backend, PATIENCE};
use crate::installation::{WorkerSettings, free_shards, require_isolated_network, tdlib_library};

/// Servers, sandbox and data directory of one test. All of them are private and end with it.
pub(crate) struct World {
    pub(crate) rabbit: RabbitServer,
    pub(crate) redis: RedisServer,
    pub(crate) sandbox: Sandbox,
    library: PatchedLibrary,
    dir: TempDir,
    accounts: u32,
}

/// Number of shards in the tests.
pub(crate) const SHARDS: u16 = 4;

impl World {
    /// Starts everything but the worker.
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
        free_shards(&redis.uri(), "tdfleet", SHARDS).await;
        Self { rabbit, redis, sandbox, library, dir, accounts }
    }

    /// Starts everything and a worker, and logs the accounts 1 to `accounts` in. The backend listens
    /// to the live events of all of them.
    pub(crate) async fn logged_in(accounts: u32) -> (Self, Worker, Backend) {
        Self::logged_in_with(accounts, &["worker"], &[]).await
    }

    /// The same with a worker that is run with these arguments and environment variables.
    pub(crate) async fn logged_in_with(
        accounts: u32,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (Self, Worker, Backend) {
        let world = Self::start(accounts).await;
        let worker = world.tdfleet(arguments, environment);
        let mut backend = world.backend_when_declared().await;
        for account in 1..=accounts {
            backend.listen(account).await;
            world.log_in(&mut backend, account).await;
        }
        (world, worker, backend)
    }

    /// Starts the sandbox alone. The servers' ports are chosen, but nothing listens there yet.
    pub(crate) async fn without_servers(accounts: u32) -> Self {
        require_isolated_network();
        let sandbox =
            sandbox::start(SandboxOptions { accounts, ..SandboxOptions::default() }).await.unwrap();
        let library = sandbox.patch_library(&tdlib_library()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let rabbit = RabbitServer::new();
        let redis = RedisServer::new(Persistence::AppendOnly);
        Self { rabbit, redis, sandbox, library, dir, accounts }
    }

    /// Starts a worker.
    pub(crate) fn worker(&self) -> Worker {
        self.tdfleet(&["worker"], &[])
    }

    /// Starts any `tdfleet` process with this world's settings; `environment` overrides them.
    pub(crate) fn tdfleet(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Worker {
        self.process(Path::new(env!("CARGO_BIN_EXE_tdfleet")), arguments, environment)
    }

    /// Writes a settings file; its path.
    pub(crate) fn write_settings(&self, toml: &str) -> String {
        let path = self.dir.path().join("tdfleet.toml");
        fs::write(&path, toml).unwrap();
        path.display().to_string()
    }

    /// Runs a command of `tdfleet` to its end; its exit code and standard output.
    pub(crate) async fn output(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.tdfleet(arguments, &[]).output().await
    }

    /// Starts a `tdfleet` process under a shell: `script` runs it as `"$@"`, below limits or with its
    /// output somewhere else.
    pub(crate) fn tdfleet_in_shell(
        &self,
        script: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Worker {
        let program = env!("CARGO_BIN_EXE_tdfleet");
        let arguments: Vec<_> =
            ["-c", script, "sh", program].into_iter().chain(arguments.iter().copied()).collect();
        self.process(Path::new("/bin/sh"), &arguments, environment)
    }

    /// The patched library that the workers load.
    pub(crate) fn library(&self) -> &Path {
        self.library.path()
    }

    /// The data directory of the workers.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The same for any program.
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
            .envs(self.environment())
            .envs(environment.iter().copied())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true);
        Worker { child: command.spawn().unwrap(), log }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let settings = WorkerSettings {
            sandbox: &self.sandbox,
            library: &self.library,
            rabbit_uri: self.rabbit.uri(),
            redis_uri: self.redis.uri(),
            shards: SHARDS,
            accounts: self.accounts,
            data_dir: self.data_dir(),
            grace_s: 20,
        };
        settings
            .environment(&[("LOG__FILTER", "info,tdfleet=debug,owner_worker=debug,broker=debug")])
    }

    /// An account's directory.
    pub(crate) fn directory(&self, account: u32) -> PathBuf {
        self.dir.path().join("data/accounts").join(account.to_string())
    }

    /// Connects a backend service, which uses nothing but AMQP and Redis.
    pub(crate) async fn backend(&self) -> Backend {
        Backend::connect(&self.rabbit.uri(), &self.redis.uri()).await
    }

    /// The same, once a worker has declared the exchange. Until the queues are bound as well, the
    /// alternate exchange takes what is published.
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
        timeout(PATIENCE, declared).await.expect("a worker declares the exchange")
    }

    /// Waits until any client has called a method of Telegram's API.
    pub(crate) async fn called(&self, method: &str) {
        let called = async {
            while self.sandbox.count_calls(None, Some(method)) == 0 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, called).await.expect("the method is called");
    }

    /// Logs an account in by the commands `start` and `send_code`.
    pub(crate) async fn log_in(&self, backend: &mut Backend, account: u32) {
        self.log_in_as(backend, account, account).await;
    }

    /// The same with the phone number of another of the sandbox's accounts, for a second session.
    pub(crate) async fn log_in_as(&self, backend: &mut Backend, account: u32, phone: u32) {
        let start = serde_json::json!({"phone": self.sandbox.phone(phone)});
        let answer = backend.call(account, "start", start).await;
        assert_eq!(answer["payload"]["result"]["state"], "wait_code", "{answer}");
        let code = serde_json::json!({"code": self.sandbox.code(phone)});
        let answer = backend.call(account, "send_code", code).await;
        assert_eq!(answer["payload"]["result"]["state"], "ready", "{answer}");
    }
}

fn unique_name() -> String {
    contracts::CommandId::random().to_string()
}

/// A `tdfleet` process.
pub(crate) struct Worker {
    pub(crate) child: Child,
    log: PathBuf,
}

impl Worker {
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    pub(crate) fn kill9(&self) {
        kill_process(self.pid(), Signal::KILL).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Stops the process where it is, as if the machine slept.
    pub(crate) fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// Lets a frozen process continue.
    pub(crate) fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        let pid = self.child.id().expect("the process runs");
        Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
    }

    /// Reads standard output to its end and waits for the process; exit code and output.
    pub(crate) async fn output(&mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
        (self.ended().await.code(), text)
    }

    /// Waits for the process to end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("the process does not end:\n{}", self.log())).unwrap()
    }

    /// Its log so far.
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
        assert!(logged.is_ok(), "`{text}` is not logged:\n{}", self.log());
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
