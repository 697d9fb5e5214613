//! A worker as a supervisor's child.

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

use crate::daemon::{Daemon, Place};

/// Time between the bytes that tell the supervisor of life.
const BEAT: Duration = Duration::from_secs(1);

/// Runs a worker until it is told to end, by a signal or by the end of its standard input.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let orphaned = orphaned()?;
    // It is never drained: the beats go on until the process ends.
    let life = Stage::new("life", &CancellationToken::new());
    life.spawn("beat", OnFailure::Log, beat());
    let (mut daemon, _) = Daemon::start(settings, Place::Servers)?;
    daemon.serve(orphaned).await;
    Ok(daemon.stop().await)
}

/// Beats from the runtime that all the work is on: while that stands still, so does the beat.
async fn beat() -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(BEAT);
    loop {
        ticks.tick().await;
        let mut out = io::stdout().lock();
        // Without the supervisor nobody reads, and the standard input ends.
        if out.write_all(b".").and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
    }
}

/// Returns when the supervisor has told this process to end, or is gone.
fn orphaned() -> anyhow::Result<impl Future<Output = ()>> {
    let stdin = io::stdin().as_fd().try_clone_to_owned().context("no standard input")?;
    let mut stdin = pipe::Receiver::from_owned_fd(stdin)
        .context("a supervised worker's standard input is a pipe")?;
    Ok(async move {
        let mut byte = [0];
        while stdin.read(&mut byte).await.is_ok_and(|count| count != 0) {}
        info!("told to end by the supervisor");
    })
}
