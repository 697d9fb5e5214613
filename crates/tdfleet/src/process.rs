//! Limits and attributes of this process.

use std::io;

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
};

/// Open files of one account at most: TDLib's databases and connections, our lock and spool.
const FILES_PER_ACCOUNT: u64 = 15;
/// Open files of everything else: servers, shards' locks, TDLib's own, and a reserve.
const OTHER_FILES: u64 = 256;

/// Keeps this process's memory, with its keys and codes, from being written to disk when it crashes,
/// and from being read by other processes of the same user.
///
/// # Errors
///
/// The kernel refuses it.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Creates files and directories from now on so that only this user can read and write them.
pub(crate) fn create_private_files() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// How many files a worker may have open, and how many it needs if it owns all accounts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenFileLimit {
    /// `None` without a limit.
    allowed: Option<u64>,
    accounts: u64,
    needed: u64,
}

impl OpenFileLimit {
    /// The limit that a worker can raise its own to: the hard one.
    pub(crate) fn of_worker(accounts: usize, shards: u16) -> Self {
        let accounts = u64::try_from(accounts).unwrap_or(u64::MAX);
        let needed = accounts
            .saturating_mul(FILES_PER_ACCOUNT)
            .saturating_add(OTHER_FILES + u64::from(shards));
        Self { allowed: getrlimit(Resource::Nofile).maximum, accounts, needed }
    }

    /// Raises this process's limit to the hard one.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub(crate) fn raise(self) -> io::Result<()> {
        let Self { allowed, .. } = self;
        Ok(setrlimit(Resource::Nofile, Rlimit { current: allowed, maximum: allowed })?)
    }

    /// Whether the accounts may need more. TDLib destroys databases that it cannot open, and ends the
    /// process.
    pub(crate) fn is_too_low(self) -> bool {
        self.allowed.is_some_and(|allowed| allowed < self.needed)
    }

    /// The limit and the need, in words.
    pub(crate) fn describe(self) -> String {
        let Self { allowed, accounts, needed } = self;
        let allowed = allowed.map_or_else(|| "any number of".to_owned(), |limit| limit.to_string());
        format!("{accounts} accounts need up to {needed} open files, and {allowed} are allowed")
    }
}
