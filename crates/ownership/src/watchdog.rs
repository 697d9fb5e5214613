//! A thread that ends the process rather than let it keep what another may open.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use contracts::Shard;
use rustix::process::{Signal, getpid, kill_process};
use tracing::error;

use crate::boot_time::BootTime;
use crate::guard::Tenures;

const EVERY: Duration = Duration::from_millis(100);

/// Watches until nobody holds `tenures` any more.
pub(crate) fn start(tenures: &Arc<Tenures>) -> io::Result<()> {
    let watched = Arc::downgrade(tenures);
    thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&watched))?;
    Ok(())
}

fn watch(watched: &Weak<Tenures>) {
    while let Some(tenures) = watched.upgrade() {
        if let Some(shard) = tenures.overdue(BootTime::now()) {
            end_process(shard);
        }
        drop(tenures);
        thread::sleep(EVERY);
    }
}

fn end_process(shard: Shard) {
    // The log may be what everything waits for: the line is given a moment, not more.
    let line = thread::Builder::new().spawn(move || {
        error!(%shard, "a lease is over and its accounts are not closed: ending the process");
    });
    if line.is_ok() {
        thread::sleep(EVERY);
    }
    if kill_process(getpid(), Signal::KILL).is_err() {
        std::process::abort();
    }
}
