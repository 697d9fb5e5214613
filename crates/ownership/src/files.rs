//! The store's files: its id, and locks that the kernel lets go of when a process ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use contracts::Shard;
use rustix::fs::{FlockOperation, flock, fstatfs};
use tracing::warn;
use uuid::Uuid;

use crate::error::Error;

/// Filesystems that one kernel alone can have mounted for writing, by their numbers in `statfs`:
/// ext, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS, bcachefs.
const LOCAL: [i64; 8] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0x794c_7630,
    0xf2f5_2010,
    0x2fc1_2fc1,
    0xca45_1a4e,
];

/// A store: the directory under which a worker keeps its accounts' databases.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    root: PathBuf,
    /// The running kernel's own id; empty when it cannot be told.
    boot: String,
}

impl Files {
    pub(crate) fn new(data_dir: &Path) -> Result<Self, Error> {
        for dir in ["shards", "workers"].map(|name| data_dir.join(name)) {
            fs::create_dir_all(&dir).map_err(|error| Error::MakeDirectory(dir, error))?;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Ok(Self { root: data_dir.to_owned(), boot: boot.trim().to_owned() })
    }

    /// The store's id, made at its first use.
    pub(crate) fn store_id(&self) -> Result<String, Error> {
        let path = self.root.join("store");
        store_id(&path).map_err(|error| Error::StoreId(path, error))
    }

    /// Locks the shard's file, unless another holds it.
    pub(crate) fn lock_shard(&self, shard: Shard) -> Result<Option<ShardFile>, Error> {
        let locked = self.lock(self.root.join("shards").join(shard.to_string()))?;
        Ok(locked.map(ShardFile))
    }

    /// Locks a worker's name, unless another has it.
    pub(crate) fn lock_name(&self, name: &str) -> Result<Option<Locked>, Error> {
        self.lock(self.root.join("workers").join(name))
    }

    /// Whether a lock of that identity may be one of this kernel's.
    pub(crate) fn is_local(&self, identity: &str) -> bool {
        !self.boot.is_empty() && identity.starts_with(&self.boot)
    }

    fn lock(&self, path: PathBuf) -> Result<Option<Locked>, Error> {
        match try_lock(&path) {
            Ok(Some(file)) => {
                let identity =
                    self.identity(&file).map_err(|error| Error::Lock(path.clone(), error))?;
                Ok(Some(Locked { file, path, identity }))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(Error::Lock(path, error)),
        }
    }

    fn identity(&self, file: &File) -> io::Result<String> {
        if self.boot.is_empty() || !LOCAL.contains(&fstatfs(file)?.f_type) {
            return Ok(String::new());
        }
        let data = file.metadata()?;
        Ok(format!("{}/{:x}/{:x}", self.boot, data.dev(), data.ino()))
    }
}

fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Several workers may start at once: the id is written elsewhere and linked into place, so that
/// one wins and nobody reads half of it.
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

/// A file that this process alone has locked, as long as this value lives.
#[derive(Debug)]
pub(crate) struct Locked {
    file: File,
    path: PathBuf,
    identity: String,
}

impl Locked {
    /// Tells this lock from every other in the world: kernel, device and file. A copy of the store has
    /// another. Empty when it cannot be told, and on a disk that another machine may use as well.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }
}

/// A shard's file, locked. It keeps the epoch of the last owner on this store, and whether that one
/// closed the shard in good order.
#[derive(Debug)]
pub(crate) struct ShardFile(Locked);

impl ShardFile {
    pub(crate) fn identity(&self) -> &str {
        self.0.identity()
    }

    /// Epoch and mark; a shard that nobody ever owned has epoch 0 and is clean.
    pub(crate) fn read(&mut self) -> Result<(u64, bool), Error> {
        let Locked { file, path, .. } = &mut self.0;
        let mut bytes = Vec::new();
        file.rewind()
            .and_then(|()| file.read_to_end(&mut bytes))
            .map_err(|error| Error::Epoch(path.clone(), error))?;
        let read = parse(&String::from_utf8_lossy(&bytes));
        if read.is_none() {
            // What a machine that lost its power may leave. The epoch grows by the clock as well.
            warn!(file = %path.display(), "a shard's file cannot be read; its epoch is lost");
        }
        Ok(read.unwrap_or((0, false)))
    }

    pub(crate) fn write(&mut self, epoch: u64, clean: bool) -> Result<(), Error> {
        let Locked { file, path, .. } = &mut self.0;
        let text = format!("{epoch} {}\n", if clean { "clean" } else { "open" });
        let mut write = || {
            file.rewind()?;
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)?;
            file.sync_data()
        };
        write().map_err(|error| Error::Epoch(path.clone(), error))
    }
}

fn parse(text: &str) -> Option<(u64, bool)> {
    let mut words = text.split_whitespace();
    let Some(epoch) = words.next() else { return Some((0, true)) };
    // A file of before the mark has the epoch alone.
    Some((epoch.parse().ok()?, words.next() == Some("clean")))
}
