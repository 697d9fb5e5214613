//! A private RabbitMQ.

pub mod shared;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::ports;
use crate::process::{ServerProcess, clean_up_after, temporary_directory};
use crate::test_run::TestRun;

/// Directory of the scripts in Debian's package; those in the `PATH` switch to another user.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";

/// Timeout until the server accepts connections; it boots in 5 to 25 s on a busy machine.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// Timeout of a clean stop.
const STOPPED_WITHIN: Duration = Duration::from_mins(1);

const REMEDY: &str = "run `make test`, or install the package rabbitmq-server";

/// One RabbitMQ node on free ports of 127.0.0.1, with its own `epmd` and its own directory; killed
/// when dropped.
#[derive(Debug)]
pub struct RabbitServer {
    port: u16,
    distribution: u16,
    epmd: u16,
    node: ServerProcess,
    mapper: ServerProcess,
    /// The test run that it ends with, if it outlives this process.
    run: Option<TestRun>,
    /// Last, so that it is removed after the processes have been killed.
    dir: TempDir,
}

impl RabbitServer {
    /// Starts a node and waits until it accepts connections: 5 s at best.
    ///
    /// # Panics
    ///
    /// It is not installed, or does not start; the message says which.
    pub fn start() -> Self {
        let mut server = Self::new();
        server.restart();
        server
    }

    /// A node that is not started: its port is closed until [`Self::restart`].
    ///
    /// # Panics
    ///
    /// No temporary directory can be created.
    pub fn new() -> Self {
        let [port, distribution, epmd] = ports::free();
        let server = Self {
            port,
            distribution,
            epmd,
            dir: temporary_directory(),
            node: ServerProcess::new("RabbitMQ"),
            mapper: ServerProcess::new("epmd"),
            run: None,
        };
        server
            .write_files()
            .unwrap_or_else(|error| panic!("RabbitMQ's files cannot be written: {error}"));
        server
    }

    /// Also listens on these loopback addresses from its next start on, so that clients with separate
    /// addresses can be disconnected one by one.
    ///
    /// # Panics
    ///
    /// Its configuration cannot be written.
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

    /// Kills the node (SIGKILL), like a machine failure, and waits until it has ended.
    ///
    /// A quorum queue declared less than about three seconds ago is lost with its content (RabbitMQ
    /// 3.10.8); wait, or use classic queues.
    ///
    /// # Panics
    ///
    /// The process can be neither killed nor waited for.
    pub fn kill9(&mut self) {
        self.node.kill();
    }

    /// Stops the node cleanly (SIGTERM) and waits until it has ended: some seconds.
    ///
    /// # Panics
    ///
    /// It does not stop.
    pub fn stop(&mut self) {
        self.node.stop(STOPPED_WITHIN);
    }

    /// Freezes the node (SIGSTOP): its connections stay open, but nothing answers.
    ///
    /// # Panics
    ///
    /// The signal cannot be sent.
    pub fn pause(&self) {
        self.node.signal(Signal::STOP);
    }

    /// Resumes the node after [`Self::pause`].
    ///
    /// # Panics
    ///
    /// The signal cannot be sent.
    pub fn resume(&self) {
        self.node.signal(Signal::CONT);
    }

    /// Kills the node if it runs, starts it with the same ports and data, and waits until it accepts
    /// connections.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn restart(&mut self) {
        self.kill9();
        let mapper = self.mapper.id().unwrap_or_else(|| self.start_mapper());
        let mut command = self.node_command();
        if self.run.is_some() {
            command.process_group(mapper.as_raw_nonzero().get());
        }
        self.node.start(&mut command, REMEDY);
        let (port, dir) = (self.port, self.dir.path().to_owned());
        self.node.wait_until(|| answers(port), READY_WITHIN, || read_log(&dir));
    }

    /// Runs `rabbitmqctl` on the node and returns its output; takes more than a second.
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
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rabbitmqctl failed: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The node's output and its log of warnings.
    pub fn log(&self) -> String {
        read_log(self.dir.path())
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

    /// Starts `epmd`, Erlang's port mapper. One started by the node would outlive it.
    fn start_mapper(&mut self) -> Pid {
        let epmd = self.epmd;
        let mut command = Command::new("epmd");
        command
            .args(["-port", &epmd.to_string(), "-address", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if self.run.is_some() {
            // Leads the group that the node joins.
            command.process_group(0);
        }
        let mapper = self.mapper.start(&mut command, REMEDY);
        if let Some(run) = &self.run {
            clean_up_after(run.owner, mapper, &[self.dir.path(), &run.directory]);
        }
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, epmd)).is_ok();
        self.mapper.wait_until(listens, READY_WITHIN, String::new);
        mapper
    }

    fn node_command(&self) -> Command {
        let output = File::options().create(true).append(true).open(self.dir.path().join("output"));
        let files = output.and_then(|output| Ok((output.try_clone()?, output)));
        let (errors, output) =
            files.unwrap_or_else(|error| panic!("no file for RabbitMQ's output: {error}"));
        let mut command = self.script("rabbitmq-server");
        command.stdout(output).stderr(errors);
        command
    }

    fn script(&self, name: &str) -> Command {
        let script = Path::new(SCRIPTS).join(name);
        assert!(script.exists(), "RabbitMQ is not installed ({}): {REMEDY}", script.display());
        let dir = self.dir.path();
        let mut command = Command::new(script);
        command
            // The script then replaces itself by the node, so its process id is the node's.
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
            // Loopback only, and no busy waiting while idle.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
            );
        command
    }
}

impl Default for RabbitServer {
    fn default() -> Self {
        Self::new()
    }
}

fn read_log(dir: &Path) -> String {
    let mut log = fs::read_to_string(dir.join("output")).unwrap_or_default();
    for entry in fs::read_dir(dir.join("log")).into_iter().flatten().flatten() {
        log.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
    }
    log
}

/// Whether the node answers an AMQP client; it opens its port last.
fn answers(port: u16) -> bool {
    let greet = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        stream.read_exact(&mut [0])
    };
    greet().is_ok()
}
