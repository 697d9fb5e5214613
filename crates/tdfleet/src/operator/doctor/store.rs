//! The store: the directory with the accounts' databases.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rustix::fs::statvfs;
use settings::{SecretString, Settings};

use super::check::DoctorCheck;
use crate::store::{access, key_check};

const PART: &str = "store";

/// Free bytes below which TDLib and the spools are short of space.
const LOW_SPACE: u64 = 1 << 30;
/// Free bytes below which something is about to fail.
const NO_SPACE: u64 = 100 << 20;

/// What to do when the store cannot be read or written.
const FIX_PERMISSIONS: &str =
    "run this as the workers' user; it needs read and write access to all of worker.data_dir";

pub(super) fn check(settings: &Settings) -> Vec<DoctorCheck> {
    let data_dir = &settings.worker.data_dir;
    if !data_dir.exists() {
        let found = format!("`{}` does not exist yet", data_dir.display());
        let remedy = "the first worker creates it; if accounts have logged in before, worker.data_dir is wrong";
        return vec![DoctorCheck::warning(PART, found, remedy)];
    }
    let key = settings.telegram.master_key.as_ref();
    let mut checks = vec![check_id(data_dir), check_access(data_dir)];
    checks.extend(key.map(|key| check_key(data_dir, key)));
    checks.extend([check_lock(data_dir), check_space(data_dir)]);
    checks
}

/// Checks that the store is this user's alone.
fn check_access(data_dir: &Path) -> DoctorCheck {
    match access::find_readable(data_dir) {
        Ok(readable) if readable.is_empty() => {
            DoctorCheck::ok(PART, "is this user's alone (0700, 0600)")
        }
        Ok(readable) => DoctorCheck::warning(
            PART,
            format!("others can read parts of it, such as `{}`", readable[0].display()),
            "the next worker that starts makes it private",
        ),
        Err(error) => DoctorCheck::wrong(PART, error.to_string(), "see docs/operations.md"),
    }
}

/// Checks that the store's accounts are encrypted with the configured master key.
fn check_key(data_dir: &Path, key: &SecretString) -> DoctorCheck {
    let remedy = "set telegram.master_key to the key that the accounts were created with";
    match key_check::verify(data_dir, key) {
        Ok(Some(true)) => DoctorCheck::ok(PART, "telegram.master_key is the store's"),
        Ok(Some(false)) => {
            DoctorCheck::wrong(PART, "telegram.master_key is not the store's", remedy)
        }
        Ok(None) => DoctorCheck::ok(PART, "has no master key yet; the first worker's will be it"),
        Err(error) => DoctorCheck::wrong(PART, format!("{error:#}"), remedy),
    }
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::super::check::CheckState;
    use super::*;

    fn settings(data_dir: &Path) -> Settings {
        let mut settings = Settings::default();
        data_dir.clone_into(&mut settings.worker.data_dir);
        settings.telegram.master_key = Some("0123456789abcdef".into());
        settings
    }

    #[test]
    fn a_store_of_others_and_another_key_are_reported() {
        let store = tempfile::tempdir().unwrap();
        let settings = settings(store.path());
        key_check::verify_or_create(store.path(), &"fedcba9876543210".into()).unwrap();
        fs::set_permissions(store.path(), Permissions::from_mode(0o770)).unwrap();
        let checks = check(&settings);
        let wrong: Vec<_> =
            checks.iter().filter(|check| check.state == CheckState::Wrong).collect();
        assert_eq!(wrong.len(), 2, "{checks:?}");
        assert!(wrong[0].found.contains("is writable by others"), "{checks:?}");
        assert!(wrong[1].found.contains("telegram.master_key"), "{checks:?}");
    }

    #[test]
    fn a_usable_store_is_left_as_it_was() {
        let store = tempfile::tempdir().unwrap();
        fs::write(store.path().join("store"), "some-id\n").unwrap();
        let checks = check(&settings(store.path()));
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
        let nowhere = settings(&store.path().join("nowhere"));
        assert_eq!(check(&nowhere)[0].state, CheckState::Warning);
    }
}
