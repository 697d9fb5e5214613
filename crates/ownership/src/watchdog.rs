//! A thread that kills the process rather than let it keep databases open that another worker may
//! open.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use contracts::Shard;
use rustix::process::{Signal, getpid, kill_process};
use tracing::error;

use crate::boot_time::BootTime;
use crate::lease_table::LeaseTable;

const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Watches `table` until everything else has dropped it.
pub(crate) fn start(table: &Arc<LeaseTable>) -> io::Result<()> {
    let table = Arc::downgrade(table);
    thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&table))?;
    Ok(())
}

fn watch(table: &Weak<LeaseTable>) {
    while let Some(table) = table.upgrade() {
        if let Some(shard) = table.overdue(BootTime::now()) {
            kill_own_process(shard);
        }
        drop(table);
        thread::sleep(CHECK_INTERVAL);
    }
}

fn kill_own_process(shard: Shard) {
    // Writing to the log may be what is blocked, so the line gets a moment and no more.
    let line = thread::Builder::new().spawn(move || {
        error!(%shard, "a lease has ended but its accounts are still open; killing the process");
    });
    if line.is_ok() {
        thread::sleep(CHECK_INTERVAL);
    }
    if kill_process(getpid(), Signal::KILL).is_err() {
        std::process::abort();
    }
}
