//! A private RabbitMQ.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ports;

/// Where Debian's package puts the scripts; the ones in the path change to another user.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";

/// Longest wait for the server to take connections; it boots in 5 to 25 s on a busy machine.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// Longest wait for a clean stop.
const STOPPED_WITHIN: Duration = Duration::from_mins(1);

const PATIENCE: Duration = Duration::from_millis(20);

/// One RabbitMQ node on free ports of 127.0.0.1, with its own `epmd` and everything else in a
/// directory of its own; killed when dropped.
#[derive(Debug)]
pub struct RabbitServer {
    port: u16,
    distribution: u16,
    epmd: u16,
    dir: TempDir,
    mapper: Option<Child>,
    node: Option<Child>,
}

impl RabbitServer {
    /// Starts a node and waits until it takes connections: 5 s at best.
    ///
    /// # Panics
    ///
    /// It is not installed, or does not start; the text says which.
    pub fn start() -> Self {
        let mut server = Self::new();
        server.restart();
        server
    }

    /// A node that is not started yet: its port answers nothing until [`Self::restart`].
    ///
    /// # Panics
    ///
    /// No temporary directory can be made.
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap_or_else(|error| panic!("no temporary directory: {error}"));
        let [port, distribution, epmd] = ports::free();
        let server = Self { port, distribution, epmd, dir, mapper: None, node: None };
        server
            .write_files()
            .unwrap_or_else(|error| panic!("RabbitMQ's files cannot be written: {error}"));
        server
    }

    /// Lets it listen on more addresses of loopback, from its next start on: clients that each use
    /// one of their own can be cut off one by one.
    ///
    /// # Panics
    ///
    /// Its settings cannot be written.
    #[must_use]
    pub fn also_on(self, addresses: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        let path = self.dir.path().join("rabbitmq.conf");
        let listen =
            |(at, address)| format!("listeners.tcp.{} = {address}:{}\n", at + 2, self.port);
        let more: String = addresses.into_iter().enumerate().map(listen).collect();
        let written = File::options().append(true).open(path);
        written
            .and_then(|mut file| file.write_all(more.as_bytes()))
            .unwrap_or_else(|error| panic!("RabbitMQ's files cannot be written: {error}"));
        self
    }

    /// Its AMQP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `amqp://guest:guest@127.0.0.1:<port>/%2f`.
    pub fn uri(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Kills the node (SIGKILL), as a machine that fails would, and waits until it is gone.
    ///
    /// A quorum queue that was declared less than about three seconds ago is lost with everything
    /// in it (RabbitMQ 3.10.8); wait, or use classic queues.
    ///
    /// # Panics
    ///
    /// The process can be neither killed nor waited for.
    pub fn kill9(&mut self) {
        if let Some(mut node) = self.node.take() {
            let gone = node.kill().and_then(|()| node.wait());
            gone.unwrap_or_else(|error| panic!("RabbitMQ cannot be killed: {error}"));
        }
    }

    /// Stops the node cleanly (SIGTERM) and waits until it is gone: some seconds.
    ///
    /// # Panics
    ///
    /// It does not stop.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let Some(mut node) = self.node.take() else { return };
        let deadline = Instant::now() + STOPPED_WITHIN;
        while !matches!(node.try_wait(), Ok(Some(_))) {
            assert!(Instant::now() < deadline, "RabbitMQ does not stop");
            thread::sleep(PATIENCE);
        }
    }

    /// Freezes the node: its connections stay, and answer nothing.
    ///
    /// # Panics
    ///
    /// The signal cannot be sent.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen node go on.
    ///
    /// # Panics
    ///
    /// The signal cannot be sent.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the node if it runs, and starts it on the same ports and data; waits until it takes
    /// connections.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn restart(&mut self) {
        self.kill9();
        if self.mapper.is_none() {
            self.mapper = Some(self.start_mapper());
        }
        self.node = Some(self.start_node());
        let deadline = Instant::now() + READY_WITHIN;
        while !self.answers() {
            let node = self.node.as_mut();
            let ended = node.is_none_or(|node| matches!(node.try_wait(), Ok(Some(_))));
            let failed = ended || deadline < Instant::now();
            assert!(!failed, "RabbitMQ does not start; what it said:\n{}", self.log());
            thread::sleep(PATIENCE);
        }
    }

    /// Runs `rabbitmqctl` on the node, and gives what it prints; more than a second.
    ///
    /// # Panics
    ///
    /// The command fails.
    pub fn ctl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let [port] = ports::free();
        let output = self
            .script("rabbitmqctl")
            .env("RABBITMQ_CTL_DIST_PORT_MIN", port.to_string())
            .env("RABBITMQ_CTL_DIST_PORT_MAX", port.to_string())
            .arg("--quiet")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("rabbitmqctl cannot be run: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rabbitmqctl failed: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the node has said: its output and its log of warnings.
    pub fn log(&self) -> String {
        let mut log = fs::read_to_string(self.dir.path().join("output")).unwrap_or_default();
        for entry in fs::read_dir(self.dir.path().join("log")).into_iter().flatten().flatten() {
            log.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
        log
    }

    fn write_files(&self) -> std::io::Result<()> {
        let dir = self.dir.path();
        for name in ["home", "mnesia", "log"] {
            fs::create_dir(dir.join(name))?;
        }
        let cookie = dir.join("home/.erlang.cookie");
        fs::write(&cookie, "TDFLEETTESTS")?;
        fs::set_permissions(&cookie, Permissions::from_mode(0o400))?;
        fs::write(dir.join("enabled_plugins"), "[].")?;
        fs::write(
            dir.join("rabbitmq.conf"),
            format!(
                "listeners.tcp.1 = 127.0.0.1:{}\nlog.file.level = warning\nlog.console = false\n\
                 disk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 4GB\n\
                 raft.wal_max_size_bytes = 67108864\n",
                self.port
            ),
        )
    }

    /// `epmd`, Erlang's port mapper. The node would start one itself, which would outlive it.
    fn start_mapper(&self) -> Child {
        let port = self.epmd.to_string();
        let spawned = Command::new("epmd")
            .args(["-port", &port, "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut mapper = spawned.unwrap_or_else(|error| {
            panic!("epmd cannot be run ({error}): run `make test`, or install the package rabbitmq-server")
        });
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.epmd)).is_err() {
            let ended = matches!(mapper.try_wait(), Ok(Some(_)));
            assert!(!ended && Instant::now() < deadline, "epmd does not start");
            thread::sleep(PATIENCE);
        }
        mapper
    }

    fn start_node(&self) -> Child {
        let output = File::options().create(true).append(true).open(self.dir.path().join("output"));
        let output =
            output.unwrap_or_else(|error| panic!("no file for RabbitMQ's output: {error}"));
        let errors = output
            .try_clone()
            .unwrap_or_else(|error| panic!("no file for RabbitMQ's output: {error}"));
        self.script("rabbitmq-server")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("RabbitMQ cannot be run: {error}"))
    }

    fn script(&self, name: &str) -> Command {
        let script = Path::new(SCRIPTS).join(name);
        assert!(
            script.exists(),
            "RabbitMQ is not installed ({}): run `make test`, or install the package rabbitmq-server",
            script.display()
        );
        let dir = self.dir.path();
        let mut command = Command::new(script);
        command
            // The script then becomes the node, so that its process id is the node's.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .env("HOME", dir.join("home"))
            .env("LANG", "C.UTF-8")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .env("RABBITMQ_NODENAME", format!("tdfleet{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", dir.join("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", dir.join("log"))
            .env("RABBITMQ_PID_FILE", dir.join("pid"))
            // Loopback only, and no spinning while there is nothing to do.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
            );
        command
    }

    /// Whether the node greets an AMQP client; it opens its port last of all.
    fn answers(&self) -> bool {
        let greet = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"AMQP\x00\x00\x09\x01")?;
            stream.read_exact(&mut [0])
        };
        greet().is_ok()
    }

    fn signal(&self, signal: Signal) {
        let Some(node) = &self.node else { return };
        let sent = kill_process(Pid::from_child(node), signal);
        sent.unwrap_or_else(|error| panic!("RabbitMQ cannot be signalled: {error}"));
    }
}

impl Default for RabbitServer {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for RabbitServer {
    fn drop(&mut self) {
        // No panic in a drop: a process that cannot be killed is left to the test's end.
        for mut process in [self.node.take(), self.mapper.take()].into_iter().flatten() {
            process.kill().and_then(|()| process.wait()).ok();
        }
    }
}
