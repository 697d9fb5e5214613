//! One worker's process, restarted whenever it ends without being asked to.

use std::fs::{self, DirEntry};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use runtime::{CancellationToken, Clock};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::exit::EX_CONFIG;

/// Longest wait for a process's first heartbeat; until then it owns nothing.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A process that ran for longer than this counts as healthy.
const HEALTHY_AFTER: Duration = Duration::from_mins(1);

/// Longest delay before a process is restarted.
const MAX_DELAY: Duration = Duration::from_mins(1);

/// What all child supervisors watch, in order to shut their processes down.
#[derive(Clone, Default)]
pub(super) struct ShutdownSignals {
    /// Let the process shut down, and do not restart it.
    pub(super) stop: CancellationToken,
    /// Kill the process.
    pub(super) kill: CancellationToken,
}

/// How a worker's last process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildOutcome {
    Clean,
    Unclean,
    /// A restarted process would reject them again.
    InvalidSettings,
}

/// Runs one worker's process and restarts it when it dies.
pub(super) struct ChildSupervisor {
    pub(super) program: PathBuf,
    pub(super) config: Option<PathBuf>,
    /// The worker's name in the fleet.
    pub(super) name: String,
    /// A process without a heartbeat for this long is killed.
    pub(super) heartbeat_timeout: Duration,
    /// The directory of crash records.
    pub(super) crash_records: PathBuf,
    pub(super) shutdown: ShutdownSignals,
}

impl ChildSupervisor {
    /// Starts the process and restarts it, until it is to stop.
    pub(super) async fn run(self) -> ChildOutcome {
        let worker = &self.name;
        let stop = &self.shutdown.stop;
        let mut failures = 0;
        let mut last = ChildOutcome::Clean;
        while !stop.is_cancelled() {
            let started = Instant::now();
            last = match self.run_once().await {
                Ok(outcome) => outcome,
                Err(error) => {
                    let error = error.to_string();
                    warn!(worker, error, "cannot start or monitor a worker process");
                    ChildOutcome::Unclean
                }
            };
            if last == ChildOutcome::InvalidSettings {
                stop.cancel();
            }
            if stop.is_cancelled() {
                break;
            }
            failures = if HEALTHY_AFTER < started.elapsed() { 1 } else { failures + 1 };
            let delay = restart_delay(failures);
            warn!(worker, delay_s = delay.as_secs(), "restarting a worker process");
            stop.run_until_cancelled(tokio::time::sleep(delay)).await;
        }
        last
    }

    /// Runs one process to its end.
    async fn run_once(&self) -> io::Result<ChildOutcome> {
        let (worker, since) = (&self.name, Clock::system().unix_seconds());
        let mut child = self.spawn()?;
        let pid = child.id().unwrap_or_default();
        info!(worker, pid, "worker process started");
        let status = self.watch(&mut child).await?;
        let outcome = match status.code() {
            Some(0) => ChildOutcome::Clean,
            Some(code) if code == i32::from(EX_CONFIG) => ChildOutcome::InvalidSettings,
            _ => ChildOutcome::Unclean,
        };
        let status = status.to_string();
        if outcome == ChildOutcome::Clean {
            info!(worker, pid, status, "worker process ended");
        } else {
            let record = self.crash_record(pid, since);
            let record = record.as_ref().map(|path| tracing::field::display(path.display()));
            warn!(worker, pid, status, record, "a worker process died");
        }
        Ok(outcome)
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command
            .args(["worker", "--supervised"])
            .env("TDFLEET__OWNERSHIP__NAME", &self.name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C in a terminal goes to the supervisor alone, which then stops the workers.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn()
    }

    /// Waits for the process to end. Stops and kills it as `shutdown` says, and kills it when its
    /// heartbeat fails.
    async fn watch(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut stdin = child.stdin.take();
        let mut heartbeats = child.stdout.take();
        let mut deadline = Instant::now() + self.heartbeat_timeout.max(START_TIMEOUT);
        let mut killed = false;
        loop {
            tokio::select! {
                biased;
                status = child.wait() => return status,
                () = self.shutdown.kill.cancelled(), if !killed => {
                    killed = true;
                    child.start_kill()?;
                }
                () = self.shutdown.stop.cancelled(), if stdin.is_some() => stdin = None,
                alive = next_heartbeat(&mut heartbeats) => if alive {
                    deadline = Instant::now() + self.heartbeat_timeout;
                } else {
                    // It closes its output only by ending.
                    heartbeats = None;
                },
                () = tokio::time::sleep_until(deadline), if !killed => {
                    killed = true;
                    let silent_s = self.heartbeat_timeout.as_secs();
                    warn!(
                        worker = self.name, pid = child.id(), silent_s,
                        "a worker process is unresponsive; killing it"
                    );
                    child.start_kill()?;
                }
            }
        }
    }

    /// The crash record that TDLib wrote, if it was TDLib that ended the process: a file such as
    /// `crash-1795295580-42.json`, with the process's id and a time not before `since`.
    fn crash_record(&self, pid: u32, since: u64) -> Option<PathBuf> {
        let matches = |entry: &DirEntry| {
            let name = entry.file_name();
            let mut parts =
                name.to_str()?.strip_prefix("crash-")?.strip_suffix(".json")?.split('-');
            let (time, id): (u64, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(since <= time && id == pid)
        };
        let mut records = fs::read_dir(&self.crash_records).ok()?.filter_map(Result::ok);
        records.find(|entry| matches(entry).unwrap_or(false)).map(|entry| entry.path())
    }
}

/// Waits for a heartbeat; `false` when there will be none.
async fn next_heartbeat(heartbeats: &mut Option<ChildStdout>) -> bool {
    let Some(heartbeats) = heartbeats else { return std::future::pending().await };
    let mut bytes = [0; 64];
    heartbeats.read(&mut bytes).await.is_ok_and(|count| count != 0)
}

/// 1 s after the first failure, then twice as long each time.
fn restart_delay(failures: u32) -> Duration {
    let doubled = 1 << failures.saturating_sub(1).min(6);
    Duration::from_secs(doubled).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;

    use super::*;

    #[test]
    fn delays_double_up_to_a_minute() {
        let delays: Vec<_> = (1..=8).map(|failures| restart_delay(failures).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    fn supervisor(script: &str, directory: &Path) -> ChildSupervisor {
        let program = directory.join("worker");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        ChildSupervisor {
            program,
            config: None,
            name: "w-1".to_owned(),
            heartbeat_timeout: Duration::from_millis(200),
            crash_records: directory.to_owned(),
            shutdown: ShutdownSignals::default(),
        }
    }

    #[tokio::test]
    async fn a_process_whose_heartbeat_fails_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let supervisor = supervisor("printf .; exec sleep 600", directory.path());
        let mut child = supervisor.spawn().unwrap();
        assert_eq!(supervisor.watch(&mut child).await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn a_process_is_stopped_by_closing_its_standard_input() {
        let directory = tempfile::tempdir().unwrap();
        let supervisor = supervisor("cat > /dev/null; exit 3", directory.path());
        let mut child = supervisor.spawn().unwrap();
        supervisor.shutdown.stop.cancel();
        assert_eq!(supervisor.watch(&mut child).await.unwrap().code(), Some(3));
    }

    #[tokio::test]
    async fn a_second_signal_kills_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let supervisor = supervisor("exec sleep 600", directory.path());
        let mut child = supervisor.spawn().unwrap();
        supervisor.shutdown.stop.cancel();
        supervisor.shutdown.kill.cancel();
        assert_eq!(supervisor.watch(&mut child).await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn rejected_settings_stop_all_processes_without_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let supervisor = supervisor("exit 78", directory.path());
        let stop = supervisor.shutdown.stop.clone();
        assert_eq!(supervisor.run().await, ChildOutcome::InvalidSettings);
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_crash_record_matches_by_process_and_time() {
        let directory = tempfile::tempdir().unwrap();
        let supervisor = supervisor("", directory.path());
        let record = directory.path().join("crash-1795000000-42.json");
        fs::write(&record, "{}").unwrap();
        assert_eq!(supervisor.crash_record(42, 1_795_000_000), Some(record));
        assert_eq!(supervisor.crash_record(2, 1_795_000_000), None);
        assert_eq!(supervisor.crash_record(42, 1_795_000_001), None);
    }
}
