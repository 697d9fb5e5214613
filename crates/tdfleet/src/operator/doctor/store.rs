//! The store: the directory with the accounts' databases.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rustix::fs::statvfs;

use super::check::DoctorCheck;

const PART: &str = "store";

/// Free bytes below which TDLib and the spools are short of space.
const LOW_SPACE: u64 = 1 << 30;
/// Free bytes below which something is about to fail.
const NO_SPACE: u64 = 100 << 20;

/// What to do when the store cannot be read or written.
const FIX_PERMISSIONS: &str =
    "run this as the workers' user; it needs read and write access to all of worker.data_dir";

pub(super) fn check(data_dir: &Path) -> Vec<DoctorCheck> {
    if !data_dir.exists() {
        let found = format!("`{}` does not exist yet", data_dir.display());
        let remedy = "the first worker creates it; if accounts have logged in before, worker.data_dir is wrong";
        return vec![DoctorCheck::warning(PART, found, remedy)];
    }
    vec![check_id(data_dir), check_lock(data_dir), check_space(data_dir)]
}

fn check_id(data_dir: &Path) -> DoctorCheck {
    match fs::read_to_string(data_dir.join("store")) {
        Ok(id) => DoctorCheck::ok(PART, format!("`{}` is store {}", data_dir.display(), id.trim())),
        Err(error) if error.kind() == ErrorKind::NotFound => DoctorCheck::ok(
            PART,
            format!("`{}` has no id yet; the first worker creates one", data_dir.display()),
        ),
        Err(error) => {
            DoctorCheck::wrong(PART, format!("cannot read its id ({error})"), FIX_PERMISSIONS)
        }
    }
}

/// Checks that a file can be written, and that a lock on it excludes everyone else.
fn check_lock(data_dir: &Path) -> DoctorCheck {
    let path = data_dir.join(format!("doctor.{}", std::process::id()));
    let tried = try_lock(&path);
    // It may not have been created.
    fs::remove_file(&path).ok();
    match tried {
        Ok(true) => DoctorCheck::ok(PART, "is writable, and file locks work"),
        Ok(false) => DoctorCheck::wrong(
            PART,
            "file locks have no effect here",
            "use a local disk: only file locks keep two processes from opening the same account",
        ),
        Err(error) => {
            DoctorCheck::wrong(PART, format!("is not writable ({error})"), FIX_PERMISSIONS)
        }
    }
}

fn try_lock(path: &Path) -> io::Result<bool> {
    let mut file = File::create_new(path)?;
    file.write_all(b"tdfleet doctor\n")?;
    file.sync_all()?;
    file.lock()?;
    match File::open(path)?.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn check_space(data_dir: &Path) -> DoctorCheck {
    let free = match statvfs(data_dir) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => {
            return DoctorCheck::wrong(
                PART,
                format!("cannot read its free space ({error})"),
                FIX_PERMISSIONS,
            );
        }
    };
    let found = format!("{} MB free", free >> 20);
    let remedy = "free some space: TDLib ends its process when the disk is full";
    match free {
        ..NO_SPACE => DoctorCheck::wrong(PART, found, remedy),
        NO_SPACE..LOW_SPACE => DoctorCheck::warning(PART, found, remedy),
        LOW_SPACE.. => DoctorCheck::ok(PART, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckState;
    use super::*;

    #[test]
    fn a_usable_store_is_left_as_it_was() {
        let store = tempfile::tempdir().unwrap();
        fs::write(store.path().join("store"), "some-id\n").unwrap();
        let checks = check(store.path());
        assert!(checks.iter().all(|check| check.state != CheckState::Wrong), "{checks:?}");
        assert!(checks[0].found.ends_with("is store some-id"), "{checks:?}");
        assert_eq!(fs::read_dir(store.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unwritable_store_is_reported() {
        let store = tempfile::tempdir().unwrap();
        let file = store.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(check_lock(&file).state, CheckState::Wrong);
        assert_eq!(check(&store.path().join("nowhere"))[0].state, CheckState::Warning);
    }
}
