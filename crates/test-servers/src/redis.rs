//! A private Redis.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::ports;
use crate::process::{ServerProcess, temporary_directory};

/// The log file in the server's directory.
const LOG: &str = "redis.log";

/// Timeout until the server answers with its data loaded.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What the server still has after it was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing: it restarts empty.
    None,
    /// An append-only file, synced to disk every second. A killed process loses nothing that it has
    /// written to the file; only a machine that fails loses about the last second.
    AppendOnly,
}

/// `redis-server` on a free port of 127.0.0.1, in its own directory; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    also: Vec<Ipv4Addr>,
    persistence: Persistence,
    process: ServerProcess,
    /// Last, so that it is removed after the process has been killed.
    dir: TempDir,
}

impl RedisServer {
    /// Starts a server without persistence, and waits until it answers.
    ///
    /// # Panics
    ///
    /// It is not installed, or does not start; the message says which.
    pub fn start() -> Self {
        Self::start_with(Persistence::None)
    }

    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn start_with(persistence: Persistence) -> Self {
        let mut server = Self::new(persistence);
        server.restart();
        server
    }

    /// A server that is not started: its port is closed until [`Self::restart`].
    ///
    /// # Panics
    ///
    /// No temporary directory can be made.
    pub fn new(persistence: Persistence) -> Self {
        let [port] = ports::free();
        Self {
            port,
            also: Vec::new(),
            dir: temporary_directory(),
            persistence,
            process: ServerProcess::new("redis-server"),
        }
    }

    /// Also listens on these loopback addresses from its next start on, so that clients with separate
    /// addresses can be disconnected one by one.
    #[must_use]
    pub fn also_on(mut self, addresses: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        self.also.extend(addresses);
        self
    }

    /// Its TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:<port>/0`.
    pub fn uri(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Kills it (SIGKILL) and waits until it has ended.
    ///
    /// # Panics
    ///
    /// The process can be neither killed nor waited for.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Freezes it (SIGSTOP): its connections stay open, but nothing answers.
    ///
    /// # Panics
    ///
    /// The signal cannot be sent.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Resumes it after [`Self::pause`].
    ///
    /// # Panics
    ///
    /// The signal cannot be sent.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Kills it if it runs, starts it with the same port and directory, and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn restart(&mut self) {
        self.kill9();
        let mut command = self.command();
        self.process.start(&mut command, "run `make test`, or install the package redis-server");
        let (port, log) = (self.port, self.dir.path().join(LOG));
        let read_log = || fs::read_to_string(&log).unwrap_or_default();
        self.process.wait_until(|| answers(port), READY_WITHIN, read_log);
    }

    /// Kills it if it runs, deletes its data, starts it, and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`Self::start`], and if its files cannot be removed.
    pub fn restart_empty(&mut self) {
        self.kill9();
        match fs::remove_dir_all(self.dir.path().join("appendonlydir")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                panic!("redis-server's files cannot be removed: {error}")
            }
            _ => self.restart(),
        }
    }

    /// The server's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join(LOG)).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let appendonly = if self.persistence == Persistence::AppendOnly { "yes" } else { "no" };
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(self.also.iter().map(Ipv4Addr::to_string))
            .args(["--save", "", "--appendonly", appendonly, "--appendfsync", "everysec"])
            .args(["--daemonize", "no", "--dir"])
            .arg(self.dir.path())
            .arg("--logfile")
            .arg(self.dir.path().join(LOG))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

fn answers(port: u16) -> bool {
    let ping = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ping().is_ok_and(|answer| &answer == b"+PONG\r\n")
}
