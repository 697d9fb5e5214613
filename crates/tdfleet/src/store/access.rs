//! The permissions of the store: it holds sessions, and locks that keep accounts from opening twice.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The directories directly below the store, whose entries are checked as well.
const DIRECTORIES: [&str; 4] = ["accounts", "crashes", "shards", "workers"];

/// What is wrong with the permissions of the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreAccessError {
    /// A part of it cannot be looked at or changed.
    #[error("`{}` cannot be used: {source}", path.display())]
    Unusable {
        /// Which part.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A part of it belongs to another user.
    #[error(
        "`{}` belongs to user {owner}, and this process runs as user {user}: run it as that user, or \
         change the owner", path.display()
    )]
    ForeignOwner {
        /// Which part.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// This process's user.
        user: u32,
    },
    /// Others can write to a part of it, and so may have changed it.
    #[error("`{}` is writable by others: make sure of what is in it, then chmod go-rwx it", .0.display())]
    WritableByOthers(PathBuf),
}

/// Makes what is there of the store readable by this user alone, and refuses a store that others
/// could write to. A store that does not exist yet is fine.
pub(crate) fn make_private(data_dir: &Path) -> Result<(), StoreAccessError> {
    for (path, part) in inspect(data_dir)? {
        let mode = part.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(mode & 0o700))
                .or_else(unless_gone)
                .map_err(|source| StoreAccessError::Unusable { path, source })?;
        }
    }
    Ok(())
}

/// The parts that others can read, without changing anything.
pub(crate) fn find_readable(data_dir: &Path) -> Result<Vec<PathBuf>, StoreAccessError> {
    let parts = inspect(data_dir)?.into_iter();
    let readable = parts.filter(|(_, part)| part.permissions().mode() & 0o077 != 0);
    Ok(readable.map(|(path, _)| path).collect())
}

/// The store, what is directly in it, and what is in its own directories; none of it another user's
/// or writable by one.
fn inspect(data_dir: &Path) -> Result<Vec<(PathBuf, Metadata)>, StoreAccessError> {
    let mut parts = Vec::new();
    let unusable =
        |path: &Path, source| StoreAccessError::Unusable { path: path.to_owned(), source };
    let directories = DIRECTORIES.map(|name| data_dir.join(name));
    let mut paths = vec![data_dir.to_owned()];
    for directory in [data_dir].into_iter().chain(directories.iter().map(PathBuf::as_path)) {
        paths.extend(entries(directory).map_err(|source| unusable(directory, source))?);
    }
    let user = rustix::process::geteuid().as_raw();
    for path in paths {
        let part = match fs::metadata(&path) {
            // A crash record, or a draft of another worker: it has been removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(source) => return Err(unusable(&path, source)),
            Ok(part) => part,
        };
        if part.uid() != user {
            return Err(StoreAccessError::ForeignOwner { path, owner: part.uid(), user });
        }
        if part.permissions().mode() & 0o022 != 0 {
            return Err(StoreAccessError::WritableByOthers(path));
        }
        parts.push((path, part));
    }
    Ok(parts)
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        found => found?.map(|entry| entry.map(|entry| entry.path())).collect(),
    }
}

fn unless_gone(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn store() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("data");
        fs::create_dir_all(store.join("shards")).unwrap();
        fs::write(store.join("shards/s000"), "").unwrap();
        for (path, mode) in [("", 0o755), ("shards", 0o755), ("shards/s000", 0o644)] {
            fs::set_permissions(store.join(path), Permissions::from_mode(mode)).unwrap();
        }
        (directory, store)
    }

    #[test]
    fn a_store_that_others_can_read_becomes_private() {
        let (_directory, store) = store();
        assert_eq!(find_readable(&store).unwrap().len(), 3);
        make_private(&store).unwrap();
        let modes = ["", "shards", "shards/s000"].map(|path| mode(&store.join(path)));
        assert_eq!(modes, [0o700, 0o700, 0o600]);
        assert!(find_readable(&store).unwrap().is_empty());
        make_private(&store.join("nowhere")).unwrap();
    }

    #[test]
    fn a_store_that_others_can_write_to_is_refused() {
        for path in ["", "shards", "shards/s000"] {
            let (_directory, store) = store();
            fs::set_permissions(store.join(path), Permissions::from_mode(0o777)).unwrap();
            let error = make_private(&store).unwrap_err();
            assert!(matches!(error, StoreAccessError::WritableByOthers(_)), "{path}: {error}");
            assert_eq!(mode(&store.join(path)), 0o777, "it is left as it is");
        }
    }
}
