use std::fs;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask this process to end: SIGTERM, SIGINT, SIGHUP and SIGQUIT. The first requests
/// a drain, the second an immediate exit.
///
/// SIGHUP means the same as SIGTERM: settings are read once, at startup. SIGUSR1 and SIGUSR2 are
/// ignored, and so is SIGHUP if the process was started with it ignored (`nohup`): none of them ends
/// the process with its accounts open.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
    quit: Signal,
}

impl Signals {
    /// Starts listening. Call it once, early: until then a signal ends the process as usual.
    ///
    /// # Errors
    ///
    /// The handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        let hang_up = SignalKind::hangup();
        let is_ignored = is_ignored(hang_up);
        for kind in [SignalKind::user_defined1(), SignalKind::user_defined2()] {
            // The handler stays when this is dropped.
            drop(signal(kind)?);
        }
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: if is_ignored { None } else { Some(signal(hang_up)?) },
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits for the next signal and returns its name.
    ///
    /// # Cancel safety
    ///
    /// Safe: a signal that arrives between two calls is returned by the next one.
    pub async fn next(&mut self) -> &'static str {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = hang_up => "SIGHUP",
            _ = self.quit.recv() => "SIGQUIT",
        }
    }
}

/// Whether this process ignores the signal. Source: proc(5), `SigIgn`.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
