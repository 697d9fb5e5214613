//! The store: the directory that the accounts' databases are in.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rustix::fs::statvfs;

use super::Check;

const PART: &str = "store";

/// Under it TDLib and the spools have little room.
const ROOM: u64 = 1 << 30;
/// Under it something fails soon.
const NO_ROOM: u64 = 100 << 20;

pub(super) fn check(data_dir: &Path) -> Vec<Check> {
    if !data_dir.exists() {
        let found = format!("`{}` is not there yet", data_dir.display());
        let remedy = "the first worker makes it; a wrong worker.data_dir loses every login";
        return vec![Check::warning(PART, found, remedy)];
    }
    vec![id(data_dir), lock(data_dir), room(data_dir)]
}

fn id(data_dir: &Path) -> Check {
    match fs::read_to_string(data_dir.join("store")) {
        Ok(id) => Check::ok(PART, format!("`{}` is the store {}", data_dir.display(), id.trim())),
        Err(error) if error.kind() == ErrorKind::NotFound => Check::ok(
            PART,
            format!("`{}` has no id yet: the first worker gives it", data_dir.display()),
        ),
        Err(error) => Check::wrong(PART, format!("its id cannot be read ({error})"), RIGHTS),
    }
}

const RIGHTS: &str =
    "run it as the workers' user; they need to read and write all of worker.data_dir";

/// A file can be written, and a lock on it keeps everybody else out.
fn lock(data_dir: &Path) -> Check {
    let path = data_dir.join(format!("doctor.{}", std::process::id()));
    let tried = try_lock(&path);
    // What was not made is not there to be removed.
    fs::remove_file(&path).ok();
    match tried {
        Ok(true) => Check::ok(PART, "can be written, and its locks hold"),
        Ok(false) => Check::wrong(
            PART,
            "file locks do nothing here",
            "use a local disk: only locks keep two processes off one account",
        ),
        Err(error) => Check::wrong(PART, format!("cannot be written ({error})"), RIGHTS),
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

fn room(data_dir: &Path) -> Check {
    let free = match statvfs(data_dir) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => return Check::wrong(PART, format!("cannot be measured ({error})"), RIGHTS),
    };
    let found = format!("{} MB free", free >> 20);
    let remedy = "make room: on a full disk TDLib ends its process";
    match free {
        ..NO_ROOM => Check::wrong(PART, found, remedy),
        NO_ROOM..ROOM => Check::warning(PART, found, remedy),
        ROOM.. => Check::ok(PART, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_store_that_can_be_used_is_left_as_it_was() {
        let store = tempfile::tempdir().unwrap();
        fs::write(store.path().join("store"), "some-id\n").unwrap();
        let checks = check(store.path());
        assert!(checks.iter().all(|check| check.state != State::Wrong), "{checks:?}");
        assert!(checks[0].found.ends_with("is the store some-id"), "{checks:?}");
        assert_eq!(fs::read_dir(store.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let store = tempfile::tempdir().unwrap();
        let file = store.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(lock(&file).state, State::Wrong);
        assert_eq!(check(&store.path().join("nowhere"))[0].state, State::Warning);
    }
}
