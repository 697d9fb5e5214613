//! Every shard in one process: only the file locks protect them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::{Epoch, Shard, ShardCount};
use runtime::Clock;
use tracing::{debug, warn};

use crate::error::OwnershipError;
use crate::lease::{Lease, OwnershipChange};
use crate::lease_table::LeaseTable;
use crate::rules;
use crate::shard_file::ShardFile;
use crate::store_files::StoreFiles;

/// Pause before trying again the locks that other processes hold.
const RETRY_DELAY: Duration = Duration::from_millis(500);

pub(crate) struct InProcessOwnership {
    files: StoreFiles,
    waiting: VecDeque<Shard>,
    held: Mutex<BTreeMap<Shard, (u64, ShardFile)>>,
    /// Shards for which it was logged that another process owns them.
    conflicts_logged: BTreeSet<Shard>,
    /// How many shards in a row are owned by another process.
    refused: usize,
    table: Arc<LeaseTable>,
    clock: Clock,
}

impl InProcessOwnership {
    pub(crate) fn new(
        data_dir: &Path,
        count: ShardCount,
        table: Arc<LeaseTable>,
        clock: Clock,
    ) -> Result<Self, OwnershipError> {
        Ok(Self {
            files: StoreFiles::new(data_dir)?,
            waiting: count.shards().collect(),
            held: Mutex::default(),
            conflicts_logged: BTreeSet::new(),
            refused: 0,
            table,
            clock,
        })
    }

    /// Acquires the shards one by one, each as soon as no other process holds it.
    pub(crate) async fn next_change(&mut self) -> Result<OwnershipChange, OwnershipError> {
        loop {
            if !self.waiting.is_empty() && self.refused >= self.waiting.len() {
                tokio::time::sleep(RETRY_DELAY).await;
                self.refused = 0;
            }
            let Some(&shard) = self.waiting.front() else {
                return std::future::pending().await;
            };
            if let Some(lease) = self.try_acquire(shard)? {
                self.waiting.pop_front();
                self.refused = 0;
                return Ok(OwnershipChange::Acquired(lease));
            }
            self.waiting.rotate_left(1);
            self.refused += 1;
        }
    }

    pub(crate) fn release(&self, shard: Shard, clean: bool) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&shard);
        let Some((epoch, mut file)) = held else { return };
        if let Err(error) = file.write(epoch, clean) {
            warn!(%shard, error = runtime::error_chain(&error), "cannot record that a shard is closed");
        }
    }

    fn try_acquire(&mut self, shard: Shard) -> Result<Option<Lease>, OwnershipError> {
        let Some(mut file) = self.files.lock_shard(shard)? else {
            if self.conflicts_logged.insert(shard) {
                warn!(%shard, "another process owns the shard; waiting for its lock");
            }
            return Ok(None);
        };
        let last = file.read()?;
        let epoch = rules::next_epoch(None, last.0, self.clock.unix_seconds());
        file.write(epoch, false)?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(shard, (epoch, file));
        self.table.grant_forever(shard);
        debug!(%shard, epoch, "shard acquired");
        let clean = rules::was_clean(None, last);
        Ok(Some(Lease { shard, epoch: Epoch(epoch), clean }))
    }
}
