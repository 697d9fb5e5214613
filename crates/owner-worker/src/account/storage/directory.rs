use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contracts::{AccountId, Epoch};
use log_port::LogHead;
use rustix::fs::{FlockOperation, flock};

/// An account's directory, `<data_dir>/accounts/<userbot_id>/`, under its exclusive lock.
///
/// The lock is held until this is dropped, which must not happen before TDLib has closed the
/// databases: Telegram ends the session of an account that is opened twice.
#[derive(Debug)]
pub(crate) struct AccountDirectory {
    path: PathBuf,
    redis_lost_state: bool,
    _lock: File,
}

/// What Redis remembers of an account. Its directory must not be older.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordedState {
    /// Epoch of the last owner that opened the directory.
    pub(crate) opened: Option<Epoch>,
    /// Whether the account was logged in when last seen.
    pub(crate) logged_in: bool,
}

impl From<&LogHead> for RecordedState {
    fn from(head: &LogHead) -> Self {
        Self { opened: head.opened, logged_in: head.logged_in }
    }
}

/// Why an account's directory cannot be used; the text says what the operator can do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    /// It cannot be created, opened or written.
    #[error("the account's directory cannot be used")]
    Io(#[from] io::Error),
    /// Another process has the account open.
    #[error("another process has the account's directory locked")]
    InUse,
    /// It has had a newer owner.
    #[error("the account's directory was last owned under the newer epoch {0}")]
    NewerOwner(Epoch),
    /// The account was logged in, but its database is missing.
    #[error(
        "the account was logged in, but its database is not in accounts/{0}/db: restore its \
         directory, or give it to a worker on the store that has it"
    )]
    DatabaseMissing(AccountId),
    /// The directory has missed an owner: opening it could run one session twice.
    #[error(
        "accounts/{account} is an old copy, last owned under epoch {found} and not {opened}: \
         restore the right directory, or write {opened} into accounts/{account}/owner if no \
         other copy is in use"
    )]
    OldCopy {
        /// Whose directory.
        account: AccountId,
        /// The epoch in it.
        found: Epoch,
        /// The epoch that Redis remembers.
        opened: Epoch,
    },
}

impl AccountDirectory {
    /// Creates the directory if necessary, locks it, and writes the owner's epoch into it. Fails if
    /// it is older than what Redis remembers.
    pub(crate) fn lock(
        data_dir: &Path,
        account: AccountId,
        epoch: Epoch,
        recorded: RecordedState,
    ) -> Result<Self, DirectoryError> {
        let path = data_dir.join("accounts").join(account.to_string());
        let has_database = has_database(&path.join("db"))?;
        if recorded.logged_in && !has_database {
            return Err(DirectoryError::DatabaseMissing(account));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let mut owner = lock(&path.join("owner"))?;
        let mut text = String::new();
        owner.read_to_string(&mut text)?;
        let last_owner: Option<Epoch> = text.trim().parse().ok().map(Epoch);
        let found = last_owner.unwrap_or(Epoch(0));
        if epoch < found {
            return Err(DirectoryError::NewerOwner(found));
        }
        // A directory with neither an epoch nor a database is new, and not a copy.
        if let Some(opened) = recorded.opened.filter(|opened| found < *opened)
            && (last_owner.is_some() || has_database)
        {
            return Err(DirectoryError::OldCopy { account, found, opened });
        }
        owner.rewind()?;
        owner.write_all(format!("{epoch}\n").as_bytes())?;
        owner.sync_data()?;
        for part in [path.join("db"), path.join("files")] {
            fs::create_dir_all(part)?;
        }
        let redis_lost_state = recorded.opened.is_none() && last_owner.is_some();
        Ok(Self { path: path.canonicalize()?, redis_lost_state, _lock: owner })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has had an owner of which Redis knows nothing: Redis has lost its records of the
    /// account.
    pub(crate) fn redis_lost_state(&self) -> bool {
        self.redis_lost_state
    }

    /// Where TDLib keeps its databases.
    pub(crate) fn database(&self) -> String {
        self.path.join("db").to_string_lossy().into_owned()
    }

    /// Where TDLib keeps files.
    pub(crate) fn files(&self) -> String {
        self.path.join("files").to_string_lossy().into_owned()
    }
}

/// Opens and locks the file `owner`, which holds the epoch of the last owner.
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

/// Whether there is a TDLib binlog, which holds the account's authorization key: `td.binlog`, or
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

    const UNKNOWN: RecordedState = RecordedState { opened: None, logged_in: false };

    struct Fixture(TempDir);

    impl Fixture {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn lock(
            &self,
            epoch: u64,
            recorded: RecordedState,
        ) -> Result<AccountDirectory, DirectoryError> {
            AccountDirectory::lock(
                self.0.path(),
                AccountId::new(7).unwrap(),
                Epoch(epoch),
                recorded,
            )
        }

        fn put_database(&self) {
            let db = self.0.path().join("accounts/7/db");
            fs::create_dir_all(&db).unwrap();
            fs::write(db.join("td.binlog"), "").unwrap();
        }
    }

    fn opened(epoch: u64) -> RecordedState {
        RecordedState { opened: Some(Epoch(epoch)), logged_in: false }
    }

    #[test]
    fn one_owner_at_a_time_and_never_an_older_one() {
        let fixture = Fixture::new();
        let first = fixture.lock(5, UNKNOWN).unwrap();
        assert!(Path::new(&first.database()).is_dir());
        assert!(matches!(fixture.lock(6, UNKNOWN), Err(DirectoryError::InUse)));
        drop(first);
        assert!(matches!(fixture.lock(4, UNKNOWN), Err(DirectoryError::NewerOwner(Epoch(5)))));
        drop(fixture.lock(5, UNKNOWN).unwrap());
        drop(fixture.lock(6, UNKNOWN).unwrap());
    }

    #[test]
    fn a_logged_in_account_without_its_database_is_not_opened_and_no_directory_is_created() {
        let fixture = Fixture::new();
        let recorded = RecordedState { logged_in: true, ..opened(5) };
        assert!(matches!(fixture.lock(6, recorded), Err(DirectoryError::DatabaseMissing(_))));
        assert_eq!(fs::read_dir(fixture.0.path()).unwrap().count(), 0);
        drop(fixture.lock(5, opened(5)).unwrap());
        assert!(
            matches!(fixture.lock(6, recorded), Err(DirectoryError::DatabaseMissing(_))),
            "an empty directory is not enough"
        );
        fixture.put_database();
        fixture.lock(6, recorded).unwrap();
    }

    #[test]
    fn a_directory_that_missed_an_owner_is_an_old_copy() {
        let fixture = Fixture::new();
        drop(fixture.lock(5, UNKNOWN).unwrap());
        let error = fixture.lock(8, opened(7)).unwrap_err();
        assert!(matches!(error, DirectoryError::OldCopy { found: Epoch(5), .. }));
        assert!(error.to_string().contains("write 7 into accounts/7/owner"), "{error}");
        fs::write(fixture.0.path().join("accounts/7/owner"), "7\n").unwrap();
        fixture.lock(8, opened(7)).unwrap();
    }

    #[test]
    fn a_database_without_an_epoch_is_an_old_copy_but_an_empty_directory_is_not() {
        let fixture = Fixture::new();
        drop(fixture.lock(8, opened(7)).unwrap());
        let fixture = Fixture::new();
        fixture.put_database();
        assert!(matches!(fixture.lock(8, opened(7)), Err(DirectoryError::OldCopy { .. })));
    }

    #[test]
    fn a_directory_shows_that_redis_has_lost_its_records() {
        let fixture = Fixture::new();
        assert!(!fixture.lock(5, UNKNOWN).unwrap().redis_lost_state(), "it is new");
        assert!(!fixture.lock(6, opened(5)).unwrap().redis_lost_state());
        assert!(fixture.lock(7, UNKNOWN).unwrap().redis_lost_state());
    }
}
