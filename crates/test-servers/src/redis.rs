//! A private Redis.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ports;

/// Longest wait for the server to answer, its data loaded.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What the server keeps when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing: it comes back empty.
    None,
    /// An append-only file, written to disk every second: all but about the last second. (A process
    /// that is killed loses nothing that it had written to the file; a machine does.)
    AppendOnly,
}

/// `redis-server` on a free port of 127.0.0.1, in a directory of its own; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    also: Vec<Ipv4Addr>,
    dir: TempDir,
    persistence: Persistence,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server that keeps nothing, and waits until it answers.
    ///
    /// # Panics
    ///
    /// It is not installed, or does not start; the text says which.
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

    /// A server that is not started yet: its port answers nothing until [`Self::restart`].
    ///
    /// # Panics
    ///
    /// No temporary directory can be made.
    pub fn new(persistence: Persistence) -> Self {
        let dir = TempDir::new().unwrap_or_else(|error| panic!("no temporary directory: {error}"));
        let [port] = ports::free();
        Self { port, also: Vec::new(), dir, persistence, process: None }
    }

    /// Lets it listen on more addresses of loopback, from its next start on: clients that each use
    /// one of their own can be cut off one by one.
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

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Panics
    ///
    /// The process can be neither killed nor waited for.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            let gone = process.kill().and_then(|()| process.wait());
            gone.unwrap_or_else(|error| panic!("redis-server cannot be killed: {error}"));
        }
    }

    /// Freezes it: its connections stay, and answer nothing.
    ///
    /// # Panics
    ///
    /// The signal cannot be sent.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen one go on.
    ///
    /// # Panics
    ///
    /// The signal cannot be sent.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it if it runs, and starts it on the same port and directory; waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn restart(&mut self) {
        self.kill9();
        self.process = Some(self.spawn());
        let deadline = Instant::now() + READY_WITHIN;
        while !self.answers() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            let hope = ended.is_none() && Instant::now() < deadline;
            assert!(hope, "redis-server does not start; its log:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it if it runs, and starts it without anything that it had; waits until it answers.
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

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("redis.log")).unwrap_or_default()
    }

    fn spawn(&self) -> Child {
        let appendonly = if self.persistence == Persistence::AppendOnly { "yes" } else { "no" };
        let spawned = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(self.also.iter().map(Ipv4Addr::to_string))
            .args(["--save", "", "--appendonly", appendonly, "--appendfsync", "everysec"])
            .args(["--daemonize", "no", "--dir"])
            .arg(self.dir.path())
            .arg("--logfile")
            .arg(self.dir.path().join("redis.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => panic!(
                "redis-server is not installed: run `make test`, or install the package \
                 redis-server"
            ),
            Err(error) => panic!("redis-server cannot be run: {error}"),
        }
    }

    fn signal(&self, signal: Signal) {
        let Some(process) = &self.process else { return };
        let sent = kill_process(Pid::from_child(process), signal);
        sent.unwrap_or_else(|error| panic!("redis-server cannot be signalled: {error}"));
    }

    fn answers(&self) -> bool {
        let ping = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"PING\r\n")?;
            let mut answer = [0; 7];
            stream.read_exact(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        ping().is_ok_and(|answer| &answer == b"+PONG\r\n")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // No panic in a drop: a process that cannot be killed is left to the test's end.
        if let Some(mut process) = self.process.take() {
            process.kill().and_then(|()| process.wait()).ok();
        }
    }
}
