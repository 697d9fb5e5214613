use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contracts::{AccountId, Epoch};
use rustix::fs::{FlockOperation, flock};

/// An account's directory under its exclusive lock, `<data_dir>/accounts/<userbot_id>/`.
///
/// The lock is held until this is dropped, which must not be before TDLib has closed the databases
/// in it: opening one account twice makes Telegram end its session.
pub(super) struct Directory {
    path: PathBuf,
    _owner: File,
}

/// Why an account's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectoryError {
    /// It cannot be made, opened or written.
    #[error("the account's directory cannot be used")]
    Io(#[from] io::Error),
    /// Another process has the account open.
    #[error("another process has the account's directory locked")]
    InUse,
    /// A newer owner has been here.
    #[error("the account's directory was last owned under the newer epoch {0}")]
    NewerOwner(Epoch),
}

impl Directory {
    /// Makes the directory if need be, locks it, and records the owner's epoch in it.
    pub(super) fn lock(
        data_dir: &Path,
        account: AccountId,
        epoch: Epoch,
    ) -> Result<Self, DirectoryError> {
        let path = data_dir.join("accounts").join(account.to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let mut owner = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("owner"))?;
        match flock(&owner, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(DirectoryError::InUse),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let mut text = String::new();
        owner.read_to_string(&mut text)?;
        let last = text.trim().parse().map_or(Epoch(0), Epoch);
        if epoch < last {
            return Err(DirectoryError::NewerOwner(last));
        }
        owner.rewind()?;
        owner.write_all(format!("{epoch}\n").as_bytes())?;
        owner.sync_data()?;
        for part in [path.join("db"), path.join("files")] {
            fs::create_dir_all(part)?;
        }
        Ok(Self { path: path.canonicalize()?, _owner: owner })
    }

    /// Where TDLib keeps its databases.
    pub(super) fn database(&self) -> String {
        self.path.join("db").to_string_lossy().into_owned()
    }

    /// Where TDLib keeps files.
    pub(super) fn files(&self) -> String {
        self.path.join("files").to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time_and_never_an_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let account = AccountId::new(7).unwrap();
        let lock = |epoch| Directory::lock(dir.path(), account, Epoch(epoch));
        let first = lock(5).unwrap();
        assert!(Path::new(&first.database()).is_dir());
        assert!(matches!(lock(6), Err(DirectoryError::InUse)));
        drop(first);
        assert!(matches!(lock(4), Err(DirectoryError::NewerOwner(Epoch(5)))));
        drop(lock(5).unwrap());
        drop(lock(6).unwrap());
    }
}
