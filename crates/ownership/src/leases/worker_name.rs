//! The worker's name.

use rustix::system::uname;

use crate::error::OwnershipError;
use crate::file_lock::FileLock;
use crate::store_files::StoreFiles;

/// The worker's name and the lock on it. If a name from the settings is already locked, the task
/// waits for the lock later. Otherwise the name is the host's, with a number if several workers
/// share the store.
pub(super) fn choose_name(
    files: &StoreFiles,
    configured: Option<&str>,
) -> Result<(String, Option<FileLock>), OwnershipError> {
    if let Some(name) = configured {
        return Ok((name.to_owned(), files.lock_name(name)?));
    }
    let host = uname().nodename().to_string_lossy().replace(['/', '\0'], "-");
    let host = if host.is_empty() { "worker".to_owned() } else { host };
    let mut number = 1;
    loop {
        let name = if number == 1 { host.clone() } else { format!("{host}-{number}") };
        if let Some(lock) = files.lock_name(&name)? {
            return Ok((name, Some(lock)));
        }
        number += 1;
    }
}
