//! One RabbitMQ for all tests of a run.
//!
//! A node takes seconds of CPU to start, and nextest runs each test in its own process. So the first
//! test that needs the node starts a host process for it, and the others read its URI from a file.
//! The host ends with the run: it holds a pidfd of nextest, or of the test process itself under
//! `cargo test`, and stops the node when that process ends, however it ends.

#![expect(clippy::disallowed_methods, reason = "the test runner's variables, and the host's own")]
#![expect(clippy::zombie_processes, reason = "the host outlives the test that starts it")]

use std::env;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use test_servers::rabbitmq::RabbitServer;

/// The process that the host ends with, and the directory of the run: set for the host alone.
const OWNER: &str = "TDFLEET_TEST_SERVER_OWNER";
const DIRECTORY: &str = "TDFLEET_TEST_SERVER_DIRECTORY";

/// Longest wait for the host; the node itself has two minutes.
const STARTED_WITHIN: Duration = Duration::from_secs(130);

/// The URI of this run's node; starts it if no other test has.
///
/// # Panics
///
/// The node does not start; the text has the host's output.
pub(crate) fn uri() -> String {
    let (run, owner) = match env::var("NEXTEST_RUN_ID") {
        Ok(run) => (run, parent_id()),
        Err(_) => (id().to_string(), id()),
    };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rabbitmq-{run}"));
    fs::create_dir_all(&directory).unwrap();
    // Held until the URI is there: the other tests of the run wait for it.
    let lock = File::create(directory.join("lock")).unwrap();
    lock.lock().unwrap();
    let file = directory.join("uri");
    fs::read_to_string(&file).unwrap_or_else(|_| start_host(owner, &directory, &file))
}

fn start_host(owner: u32, directory: &Path, file: &Path) -> String {
    let output = directory.join("output");
    let log = File::create(&output).unwrap();
    let mut host = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "shared_server::host"])
        .env(OWNER, owner.to_string())
        .env(DIRECTORY, directory)
        // What nextest does to a test that takes too long must not reach the node.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + STARTED_WITHIN;
    loop {
        if let Ok(uri) = fs::read_to_string(file) {
            return uri;
        }
        let failed = host.try_wait().unwrap().is_some() || deadline < Instant::now();
        assert!(!failed, "no RabbitMQ:\n{}", fs::read_to_string(output).unwrap_or_default());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Not a test: the process that runs the node. Does nothing unless [`start_host`] starts it.
#[test]
#[ignore = "the host of the shared server, started by the tests themselves"]
fn host() {
    let (Ok(owner), Ok(directory)) = (env::var(OWNER), env::var(DIRECTORY)) else { return };
    let owner = Pid::from_raw(owner.parse().unwrap()).unwrap();
    let owner = pidfd_open(owner, PidfdFlags::empty()).unwrap();
    let directory = PathBuf::from(directory);
    let server = RabbitServer::start();
    let unfinished = directory.join("unfinished");
    fs::write(&unfinished, server.uri()).unwrap();
    fs::rename(unfinished, directory.join("uri")).unwrap();
    // A pidfd is readable once its process has ended.
    poll(&mut [PollFd::new(&owner, PollFlags::IN)], None).unwrap();
    drop(server);
    fs::remove_dir_all(directory).unwrap();
}
