//! The state saved between two runs, so that clients stay logged in: the sandbox's key and secret,
//! the clients' keys, and the logins. Everything else about the accounts is not saved.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::crypto::RsaKey;
use crate::keys::{KeyId, SavedKey};
use crate::model::LoginSession;
use crate::transport::ProxySecret;

const FILE: &str = "sandbox.json";

/// Why a state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory could not be created.
    #[error("cannot create the directory {}", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The file could not be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file does not have this version's format.
    #[error("{} does not have this version's format: delete it to start with a new state", .0.display())]
    Format(PathBuf, #[source] serde_json::Error),
    /// The file could not be written.
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedState {
    /// Number of runs.
    pub(crate) runs: u32,
    pub(crate) rsa: RsaKey,
    pub(crate) secret: ProxySecret,
    pub(crate) keys: Vec<SavedKey>,
    /// Bindings from one key to another.
    pub(crate) bindings: Vec<(KeyId, KeyId)>,
    /// By user id.
    pub(crate) logins: Vec<(i64, LoginSession)>,
    pub(crate) homes: Vec<(i64, i32)>,
}

/// Reads the state of an earlier run from `directory`; `None` when there is none.
pub(crate) fn load(directory: &Path) -> Result<Option<SavedState>, StateError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| StateError::Directory(directory.to_owned(), error))?;
    let path = directory.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| StateError::Format(path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::Read(path, error)),
    }
}

/// Writes `state` into `directory`, atomically and readable only by its owner.
pub(crate) fn save(directory: &Path, state: &SavedState) -> Result<(), StateError> {
    let path = directory.join(FILE);
    let write = || -> io::Result<()> {
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| StateError::Write(path.clone(), error))
}
