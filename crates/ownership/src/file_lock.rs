//! An exclusive lock on a file. The kernel releases it when the process ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, fstatfs};

use crate::error::OwnershipError;

/// Filesystems that only one kernel can have mounted for writing, by their magic number in
/// `statfs`: ext, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS, bcachefs.
const LOCAL_FILESYSTEMS: [i64; 8] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0x794c_7630,
    0xf2f5_2010,
    0x2fc1_2fc1,
    0xca45_1a4e,
];

/// A file that only this process has locked, for as long as this value lives.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
    path: PathBuf,
    identity: String,
}

impl FileLock {
    /// Locks the file at `path`, which is created if missing; `None` if another process has it.
    pub(crate) fn try_lock(path: PathBuf, boot_id: &str) -> Result<Option<Self>, OwnershipError> {
        let locked = open_and_lock(&path)
            .and_then(|file| file.map(|file| Ok((identity(&file, boot_id)?, file))).transpose());
        match locked {
            Ok(Some((identity, file))) => Ok(Some(Self { file, path, identity })),
            Ok(None) => Ok(None),
            Err(error) => Err(OwnershipError::Lock(path, error)),
        }
    }

    /// Identifies this lock among all others in the world: kernel, device and file. The same file
    /// in a copy of the store has another identity. Empty if unknown, and on a disk that another
    /// machine may use as well.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Replaces the content and flushes it to disk.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)?;
        self.file.sync_data()
    }
}

fn open_and_lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn identity(file: &File, boot_id: &str) -> io::Result<String> {
    if boot_id.is_empty() || !LOCAL_FILESYSTEMS.contains(&fstatfs(file)?.f_type) {
        return Ok(String::new());
    }
    let data = file.metadata()?;
    Ok(format!("{boot_id}/{:x}/{:x}", data.dev(), data.ino()))
}
