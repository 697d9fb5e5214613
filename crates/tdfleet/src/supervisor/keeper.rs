//! One worker's process, started again whenever it ends unasked.

use std::fs::{self, DirEntry};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use runtime::{Backoff, Clock};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Orders;
use crate::EX_CONFIG;

/// Until its first beat a process owns nothing; it may take this long.
const STARTING: Duration = Duration::from_secs(30);

/// First pause before a process is started again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause; a process that ran for longer is healthy, and its next failure counts as the first.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How a worker's last process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Clean,
    Unclean,
    /// It would find them wrong every time.
    WrongSettings,
}

/// Keeps one worker up.
pub(super) struct Keeper {
    pub(super) program: PathBuf,
    pub(super) config: Option<PathBuf>,
    /// The worker's name in the fleet.
    pub(super) name: String,
    /// Silence that gets the process killed.
    pub(super) silence: Duration,
    /// Where crash records are.
    pub(super) crashes: PathBuf,
    pub(super) orders: Orders,
}

impl Keeper {
    /// Starts the process and starts it again, until it is to stop.
    pub(super) async fn keep(self) -> Outcome {
        let worker = &self.name;
        let stop = &self.orders.stop;
        let mut backoff = Backoff::exact(FIRST_PAUSE, LONGEST_PAUSE);
        let mut last = Outcome::Clean;
        while !stop.is_cancelled() {
            let began = Instant::now();
            last = match self.run_once().await {
                Ok(outcome) => outcome,
                Err(error) => {
                    let error = error.to_string();
                    warn!(worker, error, "a worker process cannot be started or watched");
                    Outcome::Unclean
                }
            };
            if last == Outcome::WrongSettings {
                stop.cancel();
            }
            if stop.is_cancelled() {
                break;
            }
            backoff.reset_if_stable(began);
            let pause = backoff.next_delay();
            warn!(worker, again_in_s = pause.as_secs(), "a worker process is started again");
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        last
    }

    /// One process's life.
    async fn run_once(&self) -> io::Result<Outcome> {
        let (worker, since) = (&self.name, Clock::system().unix_seconds());
        let mut child = self.spawn()?;
        let pid = child.id().unwrap_or_default();
        info!(worker, pid, "worker process started");
        let status = self.watch(&mut child).await?;
        let outcome = match status.code() {
            Some(0) => Outcome::Clean,
            Some(code) if code == i32::from(EX_CONFIG) => Outcome::WrongSettings,
            _ => Outcome::Unclean,
        };
        let status = status.to_string();
        if outcome == Outcome::Clean {
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
            // A terminal's Ctrl-C is for the supervisor, which tells the workers.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn()
    }

    /// Waits for the process's end; tells it to end and kills it as ordered, and for its silence.
    async fn watch(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut stdin = child.stdin.take();
        let mut beats = child.stdout.take();
        let mut deadline = Instant::now() + self.silence.max(STARTING);
        let mut killed = false;
        loop {
            tokio::select! {
                biased;
                status = child.wait() => return status,
                () = self.orders.kill.cancelled(), if !killed => {
                    killed = true;
                    child.start_kill()?;
                }
                () = self.orders.stop.cancelled(), if stdin.is_some() => stdin = None,
                beaten = beat(&mut beats) => if beaten {
                    deadline = Instant::now() + self.silence;
                } else {
                    // It closes its output only by ending.
                    beats = None;
                },
                () = tokio::time::sleep_until(deadline), if !killed => {
                    killed = true;
                    let silent_s = self.silence.as_secs();
                    warn!(worker = self.name, pid = child.id(), silent_s, "a worker process is silent; killing it");
                    child.start_kill()?;
                }
            }
        }
    }

    /// What TDLib has left behind, if it was TDLib that ended the process: a file such as
    /// `crash-1795295580-42.json`, of that second and that process.
    fn crash_record(&self, pid: u32, since: u64) -> Option<PathBuf> {
        let is_its = |entry: &DirEntry| {
            let name = entry.file_name();
            let mut words =
                name.to_str()?.strip_prefix("crash-")?.strip_suffix(".json")?.split('-');
            let (at, of): (u64, u32) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some(since <= at && of == pid)
        };
        let mut records = fs::read_dir(&self.crashes).ok()?.filter_map(Result::ok);
        records.find(|entry| is_its(entry).unwrap_or(false)).map(|entry| entry.path())
    }
}

/// Waits for a beat; `false` when there will be none.
async fn beat(beats: &mut Option<ChildStdout>) -> bool {
    let Some(beats) = beats else { return std::future::pending().await };
    let mut bytes = [0; 64];
    beats.read(&mut bytes).await.is_ok_and(|count| count != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;

    use super::*;

    fn keeper(script: &str, directory: &Path) -> Keeper {
        let program = directory.join("worker");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Keeper {
            program,
            config: None,
            name: "w-1".to_owned(),
            silence: Duration::from_millis(200),
            crashes: directory.to_owned(),
            orders: Orders::default(),
        }
    }

    #[tokio::test]
    async fn a_process_that_falls_silent_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = keeper("printf .; exec sleep 600", directory.path());
        let mut child = keeper.spawn().unwrap();
        assert_eq!(keeper.watch(&mut child).await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn a_process_is_told_to_end_by_the_end_of_its_input() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = keeper("cat > /dev/null; exit 3", directory.path());
        let mut child = keeper.spawn().unwrap();
        keeper.orders.stop.cancel();
        assert_eq!(keeper.watch(&mut child).await.unwrap().code(), Some(3));
    }

    #[tokio::test]
    async fn a_second_order_kills() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = keeper("exec sleep 600", directory.path());
        let mut child = keeper.spawn().unwrap();
        keeper.orders.stop.cancel();
        keeper.orders.kill.cancel();
        assert_eq!(keeper.watch(&mut child).await.unwrap().signal(), Some(9));
    }

    #[tokio::test]
    async fn wrong_settings_end_the_whole_and_are_not_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = keeper("exit 78", directory.path());
        let stop = keeper.orders.stop.clone();
        assert_eq!(keeper.keep().await, Outcome::WrongSettings);
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_process_finds_its_own_crash_record_and_no_older_one() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = keeper("", directory.path());
        let record = directory.path().join("crash-1795000000-42.json");
        fs::write(&record, "{}").unwrap();
        assert_eq!(keeper.crash_record(42, 1_795_000_000), Some(record));
        assert_eq!(keeper.crash_record(2, 1_795_000_000), None);
        assert_eq!(keeper.crash_record(42, 1_795_000_001), None);
    }
}
