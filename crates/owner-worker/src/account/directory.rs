use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contracts::{AccountId, Epoch};
use log_port::LogHead;
use rustix::fs::{FlockOperation, flock};

/// An account's directory under its exclusive lock, `<data_dir>/accounts/<userbot_id>/`.
///
/// The lock is held until this is dropped, which must not be before TDLib has closed the databases
/// in it: opening one account twice makes Telegram end its session.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    forgotten: bool,
    _owner: File,
}

/// What Redis remembers of an account's directory; the directory must not be behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    /// Epoch of the last owner that opened it.
    pub(super) opened: Option<Epoch>,
    /// Whether the account was logged in when last heard of.
    pub(super) logged_in: bool,
}

impl From<&LogHead> for History {
    fn from(claimed: &LogHead) -> Self {
        Self { opened: claimed.opened, logged_in: claimed.logged_in }
    }
}

/// Why an account's directory cannot be used. The words are the operator's to act on.
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
    /// The database of an account that was logged in is not here.
    #[error(
        "the account was logged in, but its database is not in accounts/{0}/db: bring its directory \
         back, or give it to a worker on the store that has it"
    )]
    Gone(AccountId),
    /// The directory has missed an owner: opening it could run one session twice.
    #[error(
        "accounts/{account} is an old copy, last owned under epoch {recorded} and not {opened}: \
         bring the right directory back, or write {opened} into accounts/{account}/owner if no \
         other copy is in use"
    )]
    OldCopy {
        /// Whose directory.
        account: AccountId,
        /// The epoch in it.
        recorded: Epoch,
        /// The one that Redis remembers.
        opened: Epoch,
    },
}

impl Directory {
    /// Makes the directory if need be, locks it, and records the owner's epoch in it. It must be
    /// the one that `history` tells of.
    pub(super) fn lock(
        data_dir: &Path,
        account: AccountId,
        epoch: Epoch,
        history: History,
    ) -> Result<Self, DirectoryError> {
        let path = data_dir.join("accounts").join(account.to_string());
        let has_database = has_database(&path.join("db"))?;
        if history.logged_in && !has_database {
            return Err(DirectoryError::Gone(account));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let mut owner = lock(&path.join("owner"))?;
        let mut text = String::new();
        owner.read_to_string(&mut text)?;
        let recorded: Option<Epoch> = text.trim().parse().ok().map(Epoch);
        let last = recorded.unwrap_or(Epoch(0));
        if epoch < last {
            return Err(DirectoryError::NewerOwner(last));
        }
        // What holds neither an epoch nor a database is new, and no copy of anything.
        if let Some(opened) = history.opened.filter(|opened| last < *opened)
            && (recorded.is_some() || has_database)
        {
            return Err(DirectoryError::OldCopy { account, recorded: last, opened });
        }
        owner.rewind()?;
        owner.write_all(format!("{epoch}\n").as_bytes())?;
        owner.sync_data()?;
        for part in [path.join("db"), path.join("files")] {
            fs::create_dir_all(part)?;
        }
        let forgotten = history.opened.is_none() && recorded.is_some();
        Ok(Self { path: path.canonicalize()?, forgotten, _owner: owner })
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has had an owner before of which Redis knows nothing: Redis has lost what it
    /// knew of the account.
    pub(super) fn is_forgotten(&self) -> bool {
        self.forgotten
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

/// Opens and locks the file, which holds the epoch of its last owner.
fn lock(path: &Path) -> Result<File, DirectoryError> {
    let owner = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    match flock(&owner, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(owner),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(DirectoryError::InUse),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// Whether TDLib's log of what must not be lost is there, the account's key in it: `td.binlog`, or
/// `td_test.binlog` in Telegram's test environment.
fn has_database(path: &Path) -> io::Result<bool> {
    let mut files = match fs::read_dir(path) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    files.try_fold(false, |found, file| {
        let path = file?.path();
        Ok(found || path.extension().is_some_and(|extension| extension == "binlog"))
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const UNKNOWN: History = History { opened: None, logged_in: false };

    struct Case(TempDir);

    impl Case {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn lock(&self, epoch: u64, history: History) -> Result<Directory, DirectoryError> {
            Directory::lock(self.0.path(), AccountId::new(7).unwrap(), Epoch(epoch), history)
        }

        fn put_database(&self) {
            let db = self.0.path().join("accounts/7/db");
            fs::create_dir_all(&db).unwrap();
            fs::write(db.join("td.binlog"), "").unwrap();
        }
    }

    fn opened(epoch: u64) -> History {
        History { opened: Some(Epoch(epoch)), logged_in: false }
    }

    #[test]
    fn one_owner_at_a_time_and_never_an_older_one() {
        let case = Case::new();
        let first = case.lock(5, UNKNOWN).unwrap();
        assert!(Path::new(&first.database()).is_dir());
        assert!(matches!(case.lock(6, UNKNOWN), Err(DirectoryError::InUse)));
        drop(first);
        assert!(matches!(case.lock(4, UNKNOWN), Err(DirectoryError::NewerOwner(Epoch(5)))));
        drop(case.lock(5, UNKNOWN).unwrap());
        drop(case.lock(6, UNKNOWN).unwrap());
    }

    #[test]
    fn a_logged_in_account_without_its_database_is_not_opened_and_nothing_is_made() {
        let case = Case::new();
        let history = History { logged_in: true, ..opened(5) };
        assert!(matches!(case.lock(6, history), Err(DirectoryError::Gone(_))));
        assert_eq!(fs::read_dir(case.0.path()).unwrap().count(), 0);
        drop(case.lock(5, opened(5)).unwrap());
        assert!(matches!(case.lock(6, history), Err(DirectoryError::Gone(_))), "only a directory");
        case.put_database();
        case.lock(6, history).unwrap();
    }

    #[test]
    fn a_directory_that_missed_an_owner_is_an_old_copy() {
        let case = Case::new();
        drop(case.lock(5, UNKNOWN).unwrap());
        let error = case.lock(8, opened(7)).unwrap_err();
        assert!(matches!(error, DirectoryError::OldCopy { recorded: Epoch(5), .. }));
        assert!(error.to_string().contains("write 7 into accounts/7/owner"), "{error}");
        fs::write(case.0.path().join("accounts/7/owner"), "7\n").unwrap();
        case.lock(8, opened(7)).unwrap();
    }

    #[test]
    fn a_database_without_an_epoch_is_an_old_copy_and_an_empty_directory_is_none() {
        let case = Case::new();
        drop(case.lock(8, opened(7)).unwrap());
        let case = Case::new();
        case.put_database();
        assert!(matches!(case.lock(8, opened(7)), Err(DirectoryError::OldCopy { .. })));
    }

    #[test]
    fn a_directory_knows_what_redis_has_forgotten() {
        let case = Case::new();
        assert!(!case.lock(5, UNKNOWN).unwrap().is_forgotten(), "it is new");
        assert!(!case.lock(6, opened(5)).unwrap().is_forgotten());
        assert!(case.lock(7, UNKNOWN).unwrap().is_forgotten());
    }
}
