//! A marker in the directory of an account that is being opened: the loop breaker for accounts whose
//! database crashes the process.
//!
//! A corrupt database makes TDLib abort the whole process. `<account>/opening` exists while TDLib
//! opens the account, so that the next process knows that the last one died meanwhile. Such an
//! account is opened alone. If the process dies again, this account is the cause, and it is
//! quarantined until the operator deletes the marker.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

use serde::{Deserialize, Serialize};
use tracing::debug;

/// The marker's name in the account's directory.
const NAME: &str = "opening";

/// An account is quarantined after this many crashes while it was opened alone, even if TDLib has
/// left no crash record: the process may have been killed.
const MAX_CRASHES: u32 = 3;

/// The marker of an opening in progress; dropping it deletes the file.
#[derive(Debug)]
pub(crate) struct CrashMarker {
    path: PathBuf,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct MarkerFile {
    /// The process that opens the account.
    pid: u32,
    /// When it started to, in Unix seconds; process ids are reused.
    since: u64,
    /// Whether the process was opening no other account.
    alone: bool,
    /// How often a process had crashed before while it opened this account alone.
    #[serde(rename = "deaths")]
    crashes: u32,
    /// Why the account is quarantined.
    #[serde(default, rename = "failed", skip_serializing_if = "Option::is_none")]
    quarantined: Option<String>,
}

/// How the last opening ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CrashHistory {
    /// Without a crash.
    Clean,
    /// The process died; `crashes` counts how often it has with this account alone.
    Crashed { crashes: u32 },
    /// The account must not be opened, for this reason.
    Quarantined(String),
}

impl CrashHistory {
    /// Reads the marker that the last opening has left in the account's directory, and quarantines
    /// the account if it has crashed its process too often. `records` is the directory of TDLib's
    /// crash records.
    pub(crate) fn read(directory: &Path, records: &Path) -> io::Result<Self> {
        let text = match fs::read(directory.join(NAME)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::Clean),
            Err(error) => return Err(error),
        };
        // A marker that cannot be parsed still counts.
        let Ok(mut last) = serde_json::from_slice::<MarkerFile>(&text) else {
            return Ok(Self::Crashed { crashes: 0 });
        };
        if let Some(reason) = last.quarantined {
            return Ok(Self::Quarantined(reason));
        }
        if !last.alone {
            return Ok(Self::Crashed { crashes: 0 });
        }
        last.crashes += 1;
        let reason = if has_crash_record(records, &last)? {
            "TDLib ended the process while it opened this account alone".to_owned()
        } else if last.crashes >= MAX_CRASHES {
            format!("the process died {MAX_CRASHES} times while it opened this account alone")
        } else {
            return Ok(Self::Crashed { crashes: last.crashes });
        };
        last.quarantined = Some(reason.clone());
        write(directory, &last)?;
        Ok(Self::Quarantined(reason))
    }
}

impl CrashMarker {
    /// Marks the account as being opened by this process since `now`, in Unix seconds. The file is
    /// on disk when this returns.
    pub(crate) fn create(directory: &Path, now: u64, history: &CrashHistory) -> io::Result<Self> {
        let (alone, crashes) = match history {
            CrashHistory::Crashed { crashes } => (true, *crashes),
            CrashHistory::Clean | CrashHistory::Quarantined(_) => (false, 0),
        };
        let pid = process::id();
        write(directory, &MarkerFile { pid, since: now, alone, crashes, quarantined: None })?;
        Ok(Self { path: directory.join(NAME) })
    }
}

/// The deletion is not synced: at worst, an account is opened alone for no reason.
impl Drop for CrashMarker {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            debug!(%error, "the crash marker cannot be deleted");
        }
    }
}

/// Writes the marker atomically.
fn write(directory: &Path, marker: &MarkerFile) -> io::Result<()> {
    let new = directory.join("opening.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(marker)?)?;
    file.sync_all()?;
    fs::rename(&new, directory.join(NAME))?;
    File::open(directory)?.sync_all()
}

/// Whether TDLib ended that process with a fatal error after the opening had started.
fn has_crash_record(records: &Path, last: &MarkerFile) -> io::Result<bool> {
    let records = match fs::read_dir(records) {
        Ok(records) => records,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for record in records {
        let name = record?.file_name();
        let ids = name.to_str().and_then(|name| {
            let (time, pid) =
                name.strip_prefix("crash-")?.strip_suffix(".json")?.split_once('-')?;
            Some((time.parse::<u64>().ok()?, pid.parse::<u32>().ok()?))
        });
        if ids.is_some_and(|(time, pid)| pid == last.pid && time >= last.since) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const NOW: u64 = 1000;

    /// An account's directory, and one of crash records.
    struct Fixture {
        account: TempDir,
        crashes: TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            Self { account: tempfile::tempdir().unwrap(), crashes: tempfile::tempdir().unwrap() }
        }

        fn history(&self) -> CrashHistory {
            CrashHistory::read(self.account.path(), self.crashes.path()).unwrap()
        }

        /// An opening during which the process dies.
        fn crash(&self) {
            let history = self.history();
            std::mem::forget(CrashMarker::create(self.account.path(), NOW, &history).unwrap());
        }

        fn add_record(&self, time: u64, pid: u32) {
            let name = format!("crash-{time}-{pid}.json");
            fs::write(self.crashes.path().join(name), "{}").unwrap();
        }
    }

    #[test]
    fn an_opening_that_ends_leaves_no_marker() {
        let fixture = Fixture::new();
        assert_eq!(fixture.history(), CrashHistory::Clean);
        drop(CrashMarker::create(fixture.account.path(), NOW, &CrashHistory::Clean).unwrap());
        assert_eq!(fixture.history(), CrashHistory::Clean);
        assert_eq!(fs::read_dir(fixture.account.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_crash_while_others_were_opening_is_not_blamed_on_the_account() {
        let fixture = Fixture::new();
        fixture.crash();
        fixture.add_record(NOW, process::id());
        assert_eq!(fixture.history(), CrashHistory::Crashed { crashes: 0 });
    }

    #[test]
    fn one_crash_alone_by_tdlib_quarantines_the_account_until_the_marker_is_deleted() {
        let fixture = Fixture::new();
        fixture.crash();
        fixture.crash();
        fixture.add_record(NOW + 1, process::id());
        assert!(
            matches!(fixture.history(), CrashHistory::Quarantined(why) if why.starts_with("TDLib ended"))
        );
        fs::remove_dir_all(fixture.crashes.path()).unwrap();
        assert!(matches!(fixture.history(), CrashHistory::Quarantined(_)), "it is in the file");
        fs::remove_file(fixture.account.path().join("opening")).unwrap();
        assert_eq!(fixture.history(), CrashHistory::Clean);
    }

    #[test]
    fn without_a_crash_record_it_takes_three_crashes_alone() {
        let fixture = Fixture::new();
        fixture.crash();
        for crashes in 0..3 {
            assert_eq!(fixture.history(), CrashHistory::Crashed { crashes });
            fixture.crash();
        }
        assert!(
            matches!(fixture.history(), CrashHistory::Quarantined(why) if why.contains("3 times"))
        );
    }

    #[test]
    fn crash_records_of_other_processes_and_of_earlier_times_do_not_count() {
        let fixture = Fixture::new();
        fixture.crash();
        fixture.crash();
        fixture.add_record(NOW - 1, process::id());
        fixture.add_record(NOW + 1, process::id() + 1);
        fs::write(fixture.crashes.path().join("notes.txt"), "").unwrap();
        assert_eq!(fixture.history(), CrashHistory::Crashed { crashes: 1 });
    }

    #[test]
    fn a_marker_that_cannot_be_parsed_still_counts() {
        let fixture = Fixture::new();
        fs::write(fixture.account.path().join("opening"), r#"{"pid": 1"#).unwrap();
        assert_eq!(fixture.history(), CrashHistory::Crashed { crashes: 0 });
    }
}
