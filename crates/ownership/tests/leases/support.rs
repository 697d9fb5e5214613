//! Workers to be started and crashed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contracts::{Names, Shard, ShardCount};
use deadpool_redis::redis::{Client, Cmd, FromRedisValue, cmd};
use ownership::{Change, Lease, LeaseConfig, Ownership};
use runtime::{CancellationToken, Clock, Stage};
use settings::OwnershipSettings;
use tempfile::TempDir;
use test_servers::redis::RedisServer;
use tokio::runtime::Runtime;
use tokio::time::timeout;

pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// What must come at all comes within this, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis and a store.
pub(crate) struct Fleet {
    pub(crate) redis: RedisServer,
    pub(crate) store: TempDir,
    pub(crate) shards: u16,
}

impl Fleet {
    /// With `shards` records of shards that nobody ever owned.
    pub(crate) fn seeded(shards: u16) -> Self {
        let fleet = Self::unknown(shards);
        for n in 0..shards {
            let record = r#"{"epoch":0,"owner":"","beat":0,"store":"","clean":true}"#;
            fleet.ask::<()>(
                cmd("HSET").arg("tdfleet:{fleet}:shards").arg(Shard(n).to_string()).arg(record),
            );
        }
        fleet
    }

    /// Without any record.
    pub(crate) fn unknown(shards: u16) -> Self {
        Self { redis: RedisServer::start(), store: TempDir::new().unwrap(), shards }
    }

    pub(crate) fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let client = Client::open(self.redis.uri()).unwrap();
        command.query(&mut client.get_connection().unwrap()).unwrap()
    }

    /// The record of a shard.
    pub(crate) fn record(&self, shard: u16) -> serde_json::Value {
        let key = cmd("HGET").arg("tdfleet:{fleet}:shards").arg(Shard(shard).to_string()).take();
        serde_json::from_str(&self.ask::<String>(&key)).unwrap()
    }

    pub(crate) fn write_record(&self, shard: u16, record: &serde_json::Value) {
        let shard = Shard(shard).to_string();
        let text = record.to_string();
        self.ask::<()>(cmd("HSET").arg("tdfleet:{fleet}:shards").arg(shard).arg(text));
    }

    pub(crate) fn worker(&self, name: &str) -> Worker {
        self.worker_at(name, &self.redis.uri(), self.store.path())
    }

    pub(crate) fn worker_at(&self, name: &str, uri: &str, store: &Path) -> Worker {
        let settings = OwnershipSettings {
            name: Some(name.to_owned()),
            lease_s: LEASE.as_secs(),
            join_delay_s: 1,
            dwell_s: 1,
            replicas: 0,
        };
        Worker::start(settings, uri, store.to_owned(), self.shards)
    }
}

/// A worker; dropped, it has crashed: its locks are free, and nobody was told.
pub(crate) struct Worker {
    pub(crate) ownership: Ownership,
    pub(crate) stage: Stage,
    runtime: Runtime,
}

impl Worker {
    pub(crate) fn start(
        settings: OwnershipSettings,
        uri: &str,
        data_dir: PathBuf,
        shards: u16,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let stage = Stage::new("output", &CancellationToken::new());
        let config = LeaseConfig {
            settings,
            uri: uri.into(),
            timeout: Duration::from_secs(5),
            names: Names::default(),
            count: ShardCount::new(shards).unwrap(),
            data_dir,
            clock: Clock::system(),
        };
        let entered = runtime.enter();
        let ownership = Ownership::leases(&stage, config).unwrap();
        drop(entered);
        Self { ownership, stage, runtime }
    }

    pub(crate) fn next(&mut self) -> Change {
        self.next_within(PATIENCE).expect("a change comes")
    }

    /// The next change, if one comes within `limit`.
    pub(crate) fn next_within(&mut self, limit: Duration) -> Option<Change> {
        let Self { ownership, runtime, .. } = self;
        runtime.block_on(async { timeout(limit, ownership.next()).await }).ok().map(Result::unwrap)
    }

    pub(crate) fn gained(&mut self) -> Lease {
        match self.next() {
            Change::Gained(lease) => lease,
            other => panic!("{other:?} instead of a lease"),
        }
    }

    pub(crate) fn gain(&mut self, count: usize) -> Vec<Lease> {
        (0..count).map(|_| self.gained()).collect()
    }

    pub(crate) fn leave(&self) {
        self.runtime.block_on(self.ownership.leave());
    }

    /// Ends as the daemon does: everything must have been released.
    pub(crate) fn stop(self) {
        assert!(self.runtime.block_on(self.stage.drain(PATIENCE)));
    }

    /// Whether the shard is not held any more within the time that it may take.
    pub(crate) fn waits_until_not_held(&self, shard: Shard) -> Duration {
        let (began, guard) = (Instant::now(), self.ownership.guard());
        while guard.holds(shard) {
            assert!(began.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(5));
        }
        began.elapsed()
    }
}
