//! A store's own files: its id, and the locks on shards and worker names.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use contracts::Shard;
use uuid::Uuid;

use crate::error::OwnershipError;
use crate::file_lock::FileLock;
use crate::shard_file::ShardFile;

/// A store: the directory under which a worker keeps its accounts' databases.
#[derive(Clone, Debug)]
pub(crate) struct StoreFiles {
    root: PathBuf,
    /// Id of this boot of the kernel; empty if unknown.
    boot_id: String,
}

impl StoreFiles {
    pub(crate) fn new(data_dir: &Path) -> Result<Self, OwnershipError> {
        for dir in ["shards", "workers"].map(|name| data_dir.join(name)) {
            fs::create_dir_all(&dir)
                .map_err(|error| OwnershipError::CreateDirectory(dir, error))?;
        }
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Ok(Self { root: data_dir.to_owned(), boot_id: boot_id.trim().to_owned() })
    }

    /// The store's id, created on first use.
    pub(crate) fn store_id(&self) -> Result<String, OwnershipError> {
        let path = self.root.join("store");
        store_id(&path).map_err(|error| OwnershipError::StoreId(path, error))
    }

    /// Locks the shard's file; `None` if another process has it.
    pub(crate) fn lock_shard(&self, shard: Shard) -> Result<Option<ShardFile>, OwnershipError> {
        let lock = self.lock(self.root.join("shards").join(shard.to_string()))?;
        Ok(lock.map(ShardFile::new))
    }

    /// Locks a worker's name; `None` if another process has it.
    pub(crate) fn lock_name(&self, name: &str) -> Result<Option<FileLock>, OwnershipError> {
        self.lock(self.root.join("workers").join(name))
    }

    /// Whether a lock with that identity may belong to this kernel.
    pub(crate) fn is_local(&self, identity: &str) -> bool {
        !self.boot_id.is_empty() && identity.starts_with(&self.boot_id)
    }

    fn lock(&self, path: PathBuf) -> Result<Option<FileLock>, OwnershipError> {
        FileLock::try_lock(path, &self.boot_id)
    }
}

/// Several workers may start at once. Each writes an id to a file of its own and links it into
/// place: one of them wins, and none reads half an id.
fn store_id(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        read => return read.map(|text| text.trim().to_owned()),
    }
    let id = Uuid::new_v4().to_string();
    let draft = path.with_file_name(format!("store.{id}"));
    let mut file = File::create_new(&draft)?;
    file.write_all(format!("{id}\n").as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::read_to_string(path).map(|text| text.trim().to_owned())
}
