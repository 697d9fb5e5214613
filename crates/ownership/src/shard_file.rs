//! A shard's file in the store: lock, epoch and clean mark.

use tracing::warn;

use crate::error::OwnershipError;
use crate::file_lock::FileLock;

/// A shard's file, locked. It records the epoch of the last owner on this store and whether that
/// owner closed the shard cleanly: `<epoch> clean` or `<epoch> open`.
#[derive(Debug)]
pub(crate) struct ShardFile(FileLock);

impl ShardFile {
    pub(crate) fn new(lock: FileLock) -> Self {
        Self(lock)
    }

    pub(crate) fn identity(&self) -> &str {
        self.0.identity()
    }

    /// Epoch and clean mark. A shard that never had an owner has epoch 0 and is clean.
    pub(crate) fn read(&mut self) -> Result<(u64, bool), OwnershipError> {
        let bytes = self.0.read().map_err(|error| self.error(error))?;
        let content = parse(&String::from_utf8_lossy(&bytes));
        if content.is_none() {
            // A power failure may leave such a file. The epoch also grows with the clock.
            let file = self.0.path().display();
            warn!(%file, "a shard's file cannot be read; its epoch is lost");
        }
        Ok(content.unwrap_or((0, false)))
    }

    pub(crate) fn write(&mut self, epoch: u64, clean: bool) -> Result<(), OwnershipError> {
        let text = format!("{epoch} {}\n", if clean { "clean" } else { "open" });
        self.0.write(&text).map_err(|error| self.error(error))
    }

    fn error(&self, error: std::io::Error) -> OwnershipError {
        OwnershipError::Epoch(self.0.path().to_owned(), error)
    }
}

fn parse(text: &str) -> Option<(u64, bool)> {
    let mut words = text.split_whitespace();
    let Some(epoch) = words.next() else { return Some((0, true)) };
    // Files from before the clean mark contain only the epoch.
    Some((epoch.parse().ok()?, words.next() == Some("clean")))
}
