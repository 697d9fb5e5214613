//! The server process behind a handle.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A shell script: once the process `$1` has ended, kills the process group `$2` and removes the
/// directories that follow.
const CLEAN_UP: &str = r#"
tail --pid="$1" -f /dev/null
kill -s KILL -- "-$2"
shift 2
rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }
"#;

/// Delay between two checks of a server that starts or stops.
const POLL: Duration = Duration::from_millis(20);

/// A new temporary directory.
///
/// # Panics
///
/// It cannot be created.
pub(crate) fn temporary_directory() -> TempDir {
    TempDir::new().unwrap_or_else(|error| panic!("no temporary directory: {error}"))
}

/// Starts a process that waits until the process `owner` has ended, however it ends. It then kills
/// the process group `group` and removes `directories`.
///
/// # Panics
///
/// It cannot be started.
pub(crate) fn clean_up_after(owner: Pid, group: Pid, directories: &[&Path]) {
    let mut command = Command::new("sh");
    command
        .args(["-c", CLEAN_UP, "sh"])
        .args([owner, group].map(|id| id.as_raw_nonzero().to_string()))
        .args(directories)
        .current_dir("/")
        // What ends this process must not end that one.
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut started = ServerProcess::new("sh");
    started.start(&mut command, "install the package dash");
    started.detach();
}

/// One child process, killed when dropped; panics name it by `name`.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    name: &'static str,
    child: Option<Child>,
}

impl ServerProcess {
    /// No process yet.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, child: None }
    }

    /// The process id, if it is started.
    pub(crate) fn id(&self) -> Option<Pid> {
        self.child.as_ref().map(Pid::from_child)
    }

    /// Lets the process outlive its handle.
    pub(crate) fn detach(mut self) {
        self.child = None;
    }

    /// Starts the process; an earlier one must have been killed. Returns its id.
    ///
    /// # Panics
    ///
    /// It cannot be started, with `remedy` if it is not installed.
    pub(crate) fn start(&mut self, command: &mut Command, remedy: &str) -> Pid {
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => Pid::from_child(self.child.insert(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                panic!("{} is not installed: {remedy}", self.name)
            }
            Err(error) => panic!("{} cannot be run: {error}", self.name),
        }
    }

    /// Waits until `is_ready`, at most `timeout`.
    ///
    /// # Panics
    ///
    /// The process ends or the time is over; the message contains `log`.
    pub(crate) fn wait_until(
        &mut self,
        is_ready: impl Fn() -> bool,
        timeout: Duration,
        log: impl Fn() -> String,
    ) {
        let deadline = Instant::now() + timeout;
        while !is_ready() {
            let failed = self.has_ended() || deadline < Instant::now();
            assert!(!failed, "{} does not start; its log:\n{}", self.name, log());
            thread::sleep(POLL);
        }
    }

    /// Kills the process (SIGKILL), if it runs, and waits until it has ended.
    ///
    /// # Panics
    ///
    /// It can be neither killed nor waited for.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let killed = child.kill().and_then(|()| child.wait());
            killed.unwrap_or_else(|error| panic!("{} cannot be killed: {error}", self.name));
        }
    }

    /// Stops the process cleanly (SIGTERM), if it runs, and waits at most `timeout`.
    ///
    /// # Panics
    ///
    /// It does not stop.
    pub(crate) fn stop(&mut self, timeout: Duration) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + timeout;
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "{} does not stop", self.name);
            thread::sleep(POLL);
        }
        self.child = None;
    }

    /// Sends a signal to the process, if it runs.
    ///
    /// # Panics
    ///
    /// The signal cannot be sent.
    pub(crate) fn signal(&self, signal: Signal) {
        let Some(child) = &self.child else { return };
        let sent = kill_process(Pid::from_child(child), signal);
        sent.unwrap_or_else(|error| panic!("{} cannot be signalled: {error}", self.name));
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| matches!(child.try_wait(), Ok(Some(_))))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // No panic in a drop: a process that cannot be killed is left to the test's end.
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn what_is_left_is_cleaned_up_once_its_owner_has_ended() {
        let sleep = || {
            let mut command = Command::new("sleep");
            command.arg("600").process_group(0);
            command
        };
        let (mut owner, mut left) = (sleep().spawn().unwrap(), sleep().spawn().unwrap());
        let directory = temporary_directory().keep();
        let [owner_id, group] = [&owner, &left].map(Pid::from_child);
        clean_up_after(owner_id, group, &[&directory]);
        assert!(left.try_wait().unwrap().is_none() && directory.exists());
        owner.kill().unwrap();
        owner.wait().unwrap();
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        while directory.exists() {
            thread::sleep(POLL);
        }
    }
}
