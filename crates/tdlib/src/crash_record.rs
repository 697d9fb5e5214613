use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{io, process};

use runtime::Clock;
use serde::Serialize;

use crate::version::REQUIRED_VERSION;

/// Where crash records are written. A static, since C passes the log callback no context.
static CRASH_DIRECTORY: OnceLock<PathBuf> = OnceLock::new();

/// What is written to disk before TDLib ends the process.
#[derive(Serialize)]
struct CrashRecord {
    time: String,
    process_id: u32,
    tdlib_version: &'static str,
    message: String,
}

/// Sets the directory for crash records; only the first call in the process counts.
pub(crate) fn set_directory(directory: &Path) {
    CRASH_DIRECTORY.get_or_init(|| directory.to_owned());
}

/// Writes a crash record; `false` when no directory is set or the record cannot be written.
pub(crate) fn write(message: &str) -> bool {
    CRASH_DIRECTORY.get().is_some_and(|directory| write_into(directory, message).is_ok())
}

/// Writes `crash-<unix seconds>-<process id>.json` into `directory`, which is created if missing.
fn write_into(directory: &Path, message: &str) -> io::Result<()> {
    let clock = Clock::system();
    let record = CrashRecord {
        time: clock.now().to_string(),
        process_id: process::id(),
        tdlib_version: REQUIRED_VERSION,
        message: message.to_owned(),
    };
    fs::create_dir_all(directory)?;
    let name = format!("crash-{}-{}.json", clock.unix_seconds(), record.process_id);
    let mut file = File::create(directory.join(name))?;
    file.write_all(&serde_json::to_vec(&record)?)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_record_names_process_and_version() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("records");
        write_into(&below, "Check failed").unwrap();
        let file = fs::read_dir(&below).unwrap().next().unwrap().unwrap();
        let record: serde_json::Value =
            serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
        assert_eq!(record["message"], "Check failed");
        assert_eq!(record["process_id"], process::id());
        assert_eq!(record["tdlib_version"], REQUIRED_VERSION);
        assert!(record["time"].as_str().unwrap().ends_with('Z'));
    }
}
