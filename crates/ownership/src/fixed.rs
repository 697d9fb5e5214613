use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use contracts::{Epoch, Shard};
use runtime::Clock;
use rustix::fs::{FlockOperation, flock};
use tracing::{debug, warn};

use crate::{Lease, Ownership};

/// How long until a lock that another process holds is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Why the store cannot say who owns a shard.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory of the shards' files cannot be made.
    #[error("cannot make the directory `{}`", .0.display())]
    MakeDirectory(PathBuf, #[source] io::Error),
    /// A shard's file cannot be opened or locked.
    #[error("cannot lock `{}`", .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// A shard's epoch cannot be read or written.
    #[error("cannot keep the epoch in `{}`", .0.display())]
    Epoch(PathBuf, #[source] io::Error),
}

impl Ownership {
    /// Owns `shards`, each by a lock on `<data_dir>/shards/<shard>`, which also keeps its epoch.
    ///
    /// # Errors
    ///
    /// The directory cannot be made.
    pub fn fixed(
        data_dir: &Path,
        shards: impl IntoIterator<Item = Shard>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let dir = data_dir.join("shards");
        fs::create_dir_all(&dir).map_err(|error| Error::MakeDirectory(dir.clone(), error))?;
        let waiting = shards.into_iter().collect();
        Ok(Self {
            fixed: Fixed {
                dir,
                waiting,
                held: BTreeMap::new(),
                told: BTreeSet::new(),
                refused: 0,
                clock,
            },
        })
    }
}

pub(crate) struct Fixed {
    dir: PathBuf,
    waiting: VecDeque<Shard>,
    /// The locks: they are held as long as the files are open.
    held: BTreeMap<Shard, File>,
    /// Shards whose other holder was logged.
    told: BTreeSet<Shard>,
    /// Shards in a row that another process holds.
    refused: usize,
    clock: Clock,
}

impl Fixed {
    pub(crate) async fn next(&mut self) -> Result<Lease, Error> {
        loop {
            if !self.waiting.is_empty() && self.refused >= self.waiting.len() {
                tokio::time::sleep(RETRY).await;
                self.refused = 0;
            }
            let Some(&shard) = self.waiting.front() else {
                return std::future::pending().await;
            };
            if let Some(lease) = self.try_own(shard)? {
                self.waiting.pop_front();
                self.refused = 0;
                return Ok(lease);
            }
            self.waiting.rotate_left(1);
            self.refused += 1;
        }
    }

    pub(crate) fn release(&mut self, shard: Shard) {
        self.held.remove(&shard);
    }

    fn try_own(&mut self, shard: Shard) -> Result<Option<Lease>, Error> {
        let path = self.dir.join(shard.to_string());
        let lock_error = |error| Error::Lock(path.clone(), error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(lock_error)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                if self.told.insert(shard) {
                    warn!(%shard, "another process owns the shard; waiting for it to let go");
                }
                return Ok(None);
            }
            Err(error) => return Err(lock_error(error.into())),
        }
        let epoch =
            grow_epoch(&mut file, &self.clock).map_err(|error| Error::Epoch(path, error))?;
        self.held.insert(shard, file);
        debug!(%shard, %epoch, "shard owned");
        Ok(Some(Lease { shard, epoch }))
    }
}

/// One more than the stored epoch, and never less than the unix time: an epoch does not go back
/// even when the file is lost.
fn grow_epoch(file: &mut File, clock: &Clock) -> io::Result<Epoch> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let stored: u64 = match text.trim() {
        "" => 0,
        digits => digits.parse().map_err(|_| io::Error::other("not a number"))?,
    };
    let epoch = clock.unix_seconds().max(stored + 1);
    file.rewind()?;
    file.write_all(format!("{epoch}\n").as_bytes())?;
    file.sync_data()?;
    Ok(Epoch(epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;

    fn ownership(dir: &Path, shards: &[u16], unix: i64) -> Ownership {
        let clock = Clock::manual(unix * 1000);
        Ownership::fixed(dir, shards.iter().copied().map(Shard), clock).unwrap()
    }

    async fn epoch(ownership: &mut Ownership) -> u64 {
        let Change::Gained(lease) = ownership.next().await.unwrap();
        lease.epoch.0
    }

    #[tokio::test]
    async fn the_epoch_grows_even_when_the_clock_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(epoch(&mut ownership(dir.path(), &[3], 1000)).await, 1000);
        assert_eq!(epoch(&mut ownership(dir.path(), &[3], 1000)).await, 1001);
        assert_eq!(epoch(&mut ownership(dir.path(), &[3], 50)).await, 1002);
        assert_eq!(epoch(&mut ownership(dir.path(), &[3], 2000)).await, 2000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_another_holds_is_waited_for_while_the_others_are_owned() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = ownership(dir.path(), &[1], 10);
        assert_eq!(epoch(&mut first).await, 10);
        let mut second = ownership(dir.path(), &[1, 2], 10);
        let Change::Gained(lease) = second.next().await.unwrap();
        assert_eq!(lease.shard, Shard(2));
        let waited = tokio::time::timeout(Duration::from_mins(1), second.next()).await;
        assert!(waited.is_err(), "the lock is still held");
        first.release(Shard(1));
        assert_eq!(epoch(&mut second).await, 11);
    }
}
