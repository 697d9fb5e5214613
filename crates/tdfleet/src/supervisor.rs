//! `tdfleet worker --processes N`: workers in processes of their own, kept up.
//!
//! TDLib ends its process on a fatal error, and nothing can catch that: with several processes it
//! takes down only the shards of one. Each child is a worker like any other. It is told to end by
//! the end of its standard input, which comes as well when the supervisor itself dies; and it shows
//! that it is alive by a byte a second on its standard output. One that is silent for the lease time
//! is killed: a frozen process must not wake up after its lease.

mod child;
mod keeper;

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use runtime::{CancellationToken, Signals};
use settings::Settings;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::EX_CONFIG;
use keeper::{Keeper, Outcome};

pub(crate) use child::run as supervised;

/// What a worker takes to end on top of its grace period, at most, when nothing is wrong.
const SETTLING: Duration = Duration::from_secs(40);

/// What all keepers are told.
#[derive(Clone, Default)]
struct Orders {
    /// Let the child end in good order, and start none.
    stop: CancellationToken,
    /// Kill the child.
    kill: CancellationToken,
}

/// Runs `processes` workers until a signal comes, and then until all have ended.
///
/// The exit code is 0 if each has ended with 0, and 78 as soon as one finds its settings wrong.
pub(crate) async fn run(
    settings: &Settings,
    config: Option<PathBuf>,
    processes: u8,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let orders = Orders::default();
    let keepers = (1..=processes).map(|number| Keeper {
        program: program.clone(),
        config: config.clone(),
        name: name(settings, number),
        silence: settings.ownership.lease(),
        crashes: settings.worker.data_dir.join("crashes"),
        orders: orders.clone(),
    });
    info!(processes, "supervising workers");
    let mut all = pin!(join_all(keepers.map(Keeper::keep)));
    let patience = settings.worker.grace() + SETTLING;
    let mut overdue = None;
    let outcomes = loop {
        tokio::select! {
            biased;
            outcomes = &mut all => break outcomes,
            signal = signals.next() => if overdue.is_some() {
                warn!(signal, "a second signal: killing every worker process");
                orders.kill.cancel();
            } else {
                info!(signal, "shutting down: every worker process is told to end");
                orders.stop.cancel();
                overdue = Some(Instant::now() + patience);
            },
            () = sleep_until(overdue) => {
                warn!(patience_s = patience.as_secs(), "worker processes are slow to end");
                overdue = Some(Instant::now() + patience);
            }
        }
    };
    Ok(exit_code(&outcomes))
}

fn exit_code(outcomes: &[Outcome]) -> ExitCode {
    if outcomes.contains(&Outcome::WrongSettings) {
        error!("the settings are wrong, as a worker process has said");
        return ExitCode::from(EX_CONFIG);
    }
    if outcomes.iter().all(|outcome| *outcome == Outcome::Clean) {
        info!("stopped");
        return ExitCode::SUCCESS;
    }
    let unclean = outcomes.iter().filter(|outcome| **outcome != Outcome::Clean).count();
    error!(unclean, "stopped; worker processes did not end in good order");
    ExitCode::FAILURE
}

/// The worker's name in the fleet: the settings' or the host's, with the process's number.
fn name(settings: &Settings, number: u8) -> String {
    let name = settings.ownership.name.clone().unwrap_or_else(|| {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if host.is_empty() { "worker".to_owned() } else { host }
    });
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '-' };
    // The longest name the settings take is 64.
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
    fn a_name_keeps_to_what_the_settings_allow() {
        let mut settings = Settings::default();
        settings.ownership.name = Some("a".repeat(64));
        assert_eq!(name(&settings, 64), format!("{}-64", "a".repeat(60)));
        settings.ownership.name = Some("eu.1".to_owned());
        assert_eq!(name(&settings, 2), "eu.1-2");
        settings.ownership.name = None;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        assert!(name(&settings, 1).chars().all(allowed));
    }
}
