//! The mark of an account that is being opened, for accounts that end their process.
//!
//! A broken database makes TDLib end the whole process. `<account>/opening` is there while TDLib
//! opens the account, so that whoever opens it next knows that the process died meanwhile. Such an
//! account is opened alone: should the process die again, it died of this account, and the account
//! is failed until the operator deletes the mark.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

use serde::{Deserialize, Serialize};
use tracing::debug;

/// The mark's name in the account's directory.
const NAME: &str = "opening";

/// So many deaths alone are too many even if TDLib has left no record of a fatal error: somebody
/// may have killed the process.
const MOST_DEATHS: u32 = 3;

/// The mark of an opening that is under way; dropped, it is taken away.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct Opening {
    /// Process that opens the account.
    pid: u32,
    /// When it began to, in unix seconds; a number of a process is used again.
    since: u64,
    /// Whether no other account was being opened by it.
    alone: bool,
    /// How often the process had died of it before, the account alone being opened.
    deaths: u32,
    /// Why it is not opened any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// What the last opening has left behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// Nothing: it came to an end.
    None,
    /// The process died while it was under way; `deaths` times with this account alone.
    Died { deaths: u32 },
    /// It is not to be opened, and why.
    Latched(String),
}

impl Trace {
    /// Reads what the last opening has left in the account's directory, and latches the account
    /// when it has ended its process too often. `crashes` is where TDLib's fatal errors are recorded.
    pub(super) fn find(directory: &Path, crashes: &Path) -> io::Result<Self> {
        let text = match fs::read(directory.join(NAME)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::None),
            Err(error) => return Err(error),
        };
        // A mark that cannot be read is one all the same.
        let Ok(mut last) = serde_json::from_slice::<Opening>(&text) else {
            return Ok(Self::Died { deaths: 0 });
        };
        if let Some(why) = last.failed {
            return Ok(Self::Latched(why));
        }
        if !last.alone {
            return Ok(Self::Died { deaths: 0 });
        }
        last.deaths += 1;
        let why = if has_crash_record(crashes, &last)? {
            "TDLib ended the process while it opened this account alone".to_owned()
        } else if last.deaths >= MOST_DEATHS {
            format!("the process died {MOST_DEATHS} times while it opened this account alone")
        } else {
            return Ok(Self::Died { deaths: last.deaths });
        };
        last.failed = Some(why.clone());
        write(directory, &last)?;
        Ok(Self::Latched(why))
    }
}

impl Mark {
    /// Marks the account as being opened by this process since `now`, in unix seconds, after what
    /// `trace` tells of the opening before. It is on disk when this returns.
    pub(super) fn set(directory: &Path, now: u64, trace: &Trace) -> io::Result<Self> {
        let (alone, deaths) = match trace {
            Trace::Died { deaths } => (true, *deaths),
            Trace::None | Trace::Latched(_) => (false, 0),
        };
        let opening = Opening { pid: process::id(), since: now, alone, deaths, failed: None };
        write(directory, &opening)?;
        Ok(Self { path: directory.join(NAME) })
    }
}

/// That it is gone need not be on disk: an account that is marked once too often is only opened
/// alone.
impl Drop for Mark {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            debug!(%error, "a mark of an opening stays");
        }
    }
}

/// Writes the mark in one step: the file is as it was, or whole.
fn write(directory: &Path, opening: &Opening) -> io::Result<()> {
    let new = directory.join("opening.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(opening)?)?;
    file.sync_all()?;
    fs::rename(&new, directory.join(NAME))?;
    File::open(directory)?.sync_all()
}

/// Whether TDLib ended that process with a fatal error after it had begun to open the account.
fn has_crash_record(crashes: &Path, last: &Opening) -> io::Result<bool> {
    let records = match fs::read_dir(crashes) {
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

    /// A directory of an account, and one of crash records.
    struct Case {
        account: TempDir,
        crashes: TempDir,
    }

    impl Case {
        fn new() -> Self {
            Self { account: tempfile::tempdir().unwrap(), crashes: tempfile::tempdir().unwrap() }
        }

        fn find(&self) -> Trace {
            Trace::find(self.account.path(), self.crashes.path()).unwrap()
        }

        /// An opening in the midst of which the process dies.
        fn die(&self) {
            let trace = self.find();
            std::mem::forget(Mark::set(self.account.path(), NOW, &trace).unwrap());
        }

        fn record(&self, time: u64, pid: u32) {
            let name = format!("crash-{time}-{pid}.json");
            fs::write(self.crashes.path().join(name), "{}").unwrap();
        }
    }

    #[test]
    fn an_opening_that_ends_leaves_nothing() {
        let case = Case::new();
        assert_eq!(case.find(), Trace::None);
        drop(Mark::set(case.account.path(), NOW, &Trace::None).unwrap());
        assert_eq!(case.find(), Trace::None);
        assert_eq!(fs::read_dir(case.account.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_death_among_others_is_not_held_against_the_account() {
        let case = Case::new();
        case.die();
        case.record(NOW, process::id());
        assert_eq!(case.find(), Trace::Died { deaths: 0 });
    }

    #[test]
    fn one_death_alone_by_tdlib_latches_the_account_until_the_mark_is_deleted() {
        let case = Case::new();
        case.die();
        case.die();
        case.record(NOW + 1, process::id());
        assert!(matches!(case.find(), Trace::Latched(why) if why.starts_with("TDLib ended")));
        fs::remove_dir_all(case.crashes.path()).unwrap();
        assert!(matches!(case.find(), Trace::Latched(_)), "it is in the file");
        fs::remove_file(case.account.path().join("opening")).unwrap();
        assert_eq!(case.find(), Trace::None);
    }

    #[test]
    fn without_a_record_it_takes_three_deaths_alone() {
        let case = Case::new();
        case.die();
        for deaths in 0..3 {
            assert_eq!(case.find(), Trace::Died { deaths });
            case.die();
        }
        assert!(matches!(case.find(), Trace::Latched(why) if why.contains("3 times")));
    }

    #[test]
    fn records_of_other_processes_and_of_other_days_say_nothing() {
        let case = Case::new();
        case.die();
        case.die();
        case.record(NOW - 1, process::id());
        case.record(NOW + 1, process::id() + 1);
        fs::write(case.crashes.path().join("notes.txt"), "").unwrap();
        assert_eq!(case.find(), Trace::Died { deaths: 1 });
    }

    #[test]
    fn a_mark_that_cannot_be_read_is_one_all_the_same() {
        let case = Case::new();
        fs::write(case.account.path().join("opening"), r#"{"pid": 1"#).unwrap();
        assert_eq!(case.find(), Trace::Died { deaths: 0 });
    }
}
