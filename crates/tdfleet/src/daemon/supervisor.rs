//! `tdfleet worker --processes N`: several workers, each in a process that is restarted when it dies.
//!
//! A fatal error in TDLib ends its process and cannot be caught: with several processes it takes
//! down only the shards of one. Each child is a worker like any other. It shuts down when its
//! standard input is closed, which also happens when the supervisor itself dies; and it writes a
//! byte to its standard output every second as a heartbeat. A child that stays silent for the lease
//! time is killed: a frozen process must not wake up after its lease has expired.

mod child;
mod child_supervisor;

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use runtime::Signals;
use settings::Settings;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::exit::EX_CONFIG;
use child_supervisor::{ChildOutcome, ChildSupervisor, ShutdownSignals};

pub(crate) use child::run as run_supervised;

/// Longest time that a healthy worker takes to shut down, on top of its grace period.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(40);

/// Runs `processes` workers until a signal arrives, then waits until all of them have ended.
///
/// The exit code is 0 if each process ended with 0, and 78 as soon as one rejects its settings.
pub(crate) async fn run(
    settings: &Settings,
    config: Option<PathBuf>,
    processes: u8,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let shutdown = ShutdownSignals::default();
    let children = (1..=processes).map(|number| ChildSupervisor {
        program: program.clone(),
        config: config.clone(),
        name: worker_name(settings, number),
        heartbeat_timeout: settings.ownership.lease(),
        crash_records: settings.worker.data_dir.join("crashes"),
        shutdown: shutdown.clone(),
    });
    info!(processes, "supervising workers");
    let mut all = pin!(join_all(children.map(ChildSupervisor::run)));
    let timeout = settings.worker.grace() + SHUTDOWN_MARGIN;
    let mut deadline = None;
    let outcomes = loop {
        tokio::select! {
            biased;
            outcomes = &mut all => break outcomes,
            signal = signals.next() => if deadline.is_some() {
                warn!(signal, "second signal received; killing all worker processes");
                shutdown.kill.cancel();
            } else {
                info!(signal, "shutting down all worker processes");
                shutdown.stop.cancel();
                deadline = Some(Instant::now() + timeout);
            },
            () = sleep_until(deadline) => {
                warn!(waited_s = timeout.as_secs(), "worker processes are slow to shut down");
                deadline = Some(Instant::now() + timeout);
            }
        }
    };
    Ok(exit_code(&outcomes))
}

fn exit_code(outcomes: &[ChildOutcome]) -> ExitCode {
    if outcomes.contains(&ChildOutcome::InvalidSettings) {
        error!("a worker process rejected the settings");
        return ExitCode::from(EX_CONFIG);
    }
    let unclean = outcomes.iter().filter(|outcome| **outcome != ChildOutcome::Clean).count();
    if unclean == 0 {
        info!("stopped");
        return ExitCode::SUCCESS;
    }
    error!(unclean, "stopped; some worker processes did not shut down cleanly");
    ExitCode::FAILURE
}

/// The worker's name in the fleet: the configured name or the host's, with the process's number.
fn worker_name(settings: &Settings, number: u8) -> String {
    let name = settings.ownership.name.clone().unwrap_or_else(|| {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if host.is_empty() { "worker".to_owned() } else { host }
    });
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '-' };
    // The settings allow names of up to 64 characters.
    let name: String = name.chars().map(allowed).take(60).collect();
    format!("{name}-{number}")
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_name_is_one_that_the_settings_allow() {
        let mut settings = Settings::default();
        settings.ownership.name = Some("a".repeat(64));
        assert_eq!(worker_name(&settings, 64), format!("{}-64", "a".repeat(60)));
        settings.ownership.name = Some("eu.1".to_owned());
        assert_eq!(worker_name(&settings, 2), "eu.1-2");
        settings.ownership.name = None;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        assert!(worker_name(&settings, 1).chars().all(allowed));
    }
}
