//! All shards in one process: the file locks alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contracts::{Epoch, Shard, ShardCount};
use runtime::Clock;
use tracing::{debug, warn};

use crate::error::Error;
use crate::files::{Files, ShardFile};
use crate::guard::Tenures;
use crate::{Change, Lease, rules};

/// How long until a lock that another process holds is tried again.
const RETRY: Duration = Duration::from_millis(500);

pub(crate) struct InProcess {
    files: Files,
    waiting: VecDeque<Shard>,
    held: Mutex<BTreeMap<Shard, (u64, ShardFile)>>,
    /// Shards whose other holder was logged.
    told: BTreeSet<Shard>,
    /// Shards in a row that another process holds.
    refused: usize,
    tenures: Arc<Tenures>,
    clock: Clock,
}

impl InProcess {
    pub(crate) fn new(
        data_dir: &Path,
        count: ShardCount,
        tenures: Arc<Tenures>,
        clock: Clock,
    ) -> Result<Self, Error> {
        Ok(Self {
            files: Files::new(data_dir)?,
            waiting: count.shards().collect(),
            held: Mutex::default(),
            told: BTreeSet::new(),
            refused: 0,
            tenures,
            clock,
        })
    }

    /// Shards are gained one after another, each as soon as no other process holds it.
    pub(crate) async fn next(&mut self) -> Result<Change, Error> {
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
                return Ok(Change::Gained(lease));
            }
            self.waiting.rotate_left(1);
            self.refused += 1;
        }
    }

    pub(crate) fn release(&self, shard: Shard, clean: bool) {
        let held = runtime::lock(&self.held).remove(&shard);
        let Some((epoch, mut file)) = held else { return };
        if let Err(error) = file.write(epoch, clean) {
            warn!(%shard, error = runtime::error_chain(&error), "a shard's end cannot be noted");
        }
    }

    fn try_own(&mut self, shard: Shard) -> Result<Option<Lease>, Error> {
        let Some(mut file) = self.files.lock_shard(shard)? else {
            if self.told.insert(shard) {
                warn!(%shard, "another process owns the shard; waiting for it to let go");
            }
            return Ok(None);
        };
        let known = file.read()?;
        let epoch = rules::next_epoch(None, known.0, self.clock.unix_seconds());
        file.write(epoch, false)?;
        runtime::lock(&self.held).insert(shard, (epoch, file));
        self.tenures.begin_forever(shard);
        debug!(%shard, epoch, "shard owned");
        let clean = rules::was_clean(None, known);
        Ok(Some(Lease { shard, epoch: Epoch(epoch), clean }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ownership;

    fn ownership(dir: &Path, shards: u16, unix: i64) -> Ownership {
        let clock = Clock::manual(unix * 1000);
        Ownership::in_process(dir, ShardCount::new(shards).unwrap(), clock).unwrap()
    }

    async fn gained(ownership: &mut Ownership) -> Lease {
        match ownership.next().await.unwrap() {
            Change::Gained(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_epoch_grows_even_when_the_clock_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        for (unix, epoch) in [(1000, 1000), (1000, 1001), (50, 1002), (2000, 2000)] {
            let lease = gained(&mut ownership(dir.path(), 1, unix)).await;
            assert_eq!(lease.epoch, Epoch(epoch));
        }
    }

    #[tokio::test]
    async fn what_was_not_released_in_good_order_is_not_clean() {
        let dir = tempfile::tempdir().unwrap();
        for (release, clean) in [(Some(true), true), (Some(false), true), (None, false)] {
            let mut ownership = ownership(dir.path(), 1, 10);
            assert_eq!(gained(&mut ownership).await.clean, clean);
            assert!(ownership.guard().holds(Shard(0)));
            if let Some(clean) = release {
                ownership.release(Shard(0), clean);
                assert!(!ownership.guard().holds(Shard(0)));
            }
        }
        assert!(!gained(&mut ownership(dir.path(), 1, 10)).await.clean);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_another_holds_is_waited_for_while_the_others_are_owned() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = ownership(dir.path(), 1, 10);
        assert_eq!(gained(&mut first).await.epoch, Epoch(10));
        let mut second = ownership(dir.path(), 2, 10);
        assert_eq!(gained(&mut second).await.shard, Shard(1));
        let waited = tokio::time::timeout(Duration::from_mins(1), second.next()).await;
        assert!(waited.is_err(), "the lock is still held");
        first.release(Shard(0), true);
        assert_eq!(gained(&mut second).await.epoch, Epoch(11));
    }
}
