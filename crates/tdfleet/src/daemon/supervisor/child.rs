//! The worker in a supervised process.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use runtime::{CancellationToken, OnFailure, Stage};
use settings::Settings;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tracing::info;

use crate::daemon::Daemon;
use crate::daemon::deployment::Deployment;

/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Runs a worker until a signal arrives or its standard input is closed.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let shutdown = shutdown_requested()?;
    // Never drained: the heartbeat continues until the process ends.
    let stage = Stage::new("heartbeat", &CancellationToken::new());
    stage.spawn("heartbeat", OnFailure::Log, send_heartbeats());
    let mut daemon = Daemon::new(Deployment::on_servers(settings)?);
    daemon.serve(shutdown).await;
    Ok(daemon.stop().await)
}

/// Runs on the runtime that does all the work: when that stalls, so does the heartbeat.
async fn send_heartbeats() -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        let mut out = io::stdout().lock();
        // Without the supervisor nobody reads, and standard input is closed.
        if out.write_all(b".").and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
    }
}

/// Completes when the supervisor asks this process to shut down, or has died.
fn shutdown_requested() -> anyhow::Result<impl Future<Output = ()>> {
    let stdin = io::stdin().as_fd().try_clone_to_owned().context("no standard input")?;
    let mut stdin = pipe::Receiver::from_owned_fd(stdin)
        .context("a supervised worker's standard input must be a pipe")?;
    Ok(async move {
        let mut byte = [0];
        while stdin.read(&mut byte).await.is_ok_and(|count| count != 0) {}
        info!("the supervisor requested a shutdown");
    })
}
