//! Workers that tests can start and crash.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contracts::{Names, Shard, ShardCount};
use deadpool_redis::redis::{Client, Cmd, FromRedisValue, cmd};
use ownership::{Lease, LeaseConfig, Ownership, OwnershipChange};
use runtime::{CancellationToken, Clock, Stage};
use settings::OwnershipSettings;
use tempfile::TempDir;
use test_servers::redis::RedisServer;
use tokio::runtime::Runtime;
use tokio::time::timeout;

pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// Upper limit for anything that must happen at all, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis server and a store.
pub(crate) struct TestFleet {
    pub(crate) redis: RedisServer,
    pub(crate) store: TempDir,
    pub(crate) shards: u16,
}

impl TestFleet {
    /// With a record for each shard that says it never had an owner.
    pub(crate) fn seeded(shards: u16) -> Self {
        let fleet = Self::unknown(shards);
        for n in 0..shards {
            let record = r#"{"epoch":0,"owner":"","beat":0,"store":"","clean":true}"#;
            fleet.query::<()>(
                cmd("HSET").arg("tdfleet:{fleet}:shards").arg(Shard(n).to_string()).arg(record),
            );
        }
        fleet
    }

    /// Without any record.
    pub(crate) fn unknown(shards: u16) -> Self {
        Self { redis: RedisServer::start(), store: TempDir::new().unwrap(), shards }
    }

    pub(crate) fn query<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let client = Client::open(self.redis.uri()).unwrap();
        command.query(&mut client.get_connection().unwrap()).unwrap()
    }

    /// The record of a shard.
    pub(crate) fn record(&self, shard: u16) -> serde_json::Value {
        let key = cmd("HGET").arg("tdfleet:{fleet}:shards").arg(Shard(shard).to_string()).take();
        serde_json::from_str(&self.query::<String>(&key)).unwrap()
    }

    pub(crate) fn write_record(&self, shard: u16, record: &serde_json::Value) {
        let shard = Shard(shard).to_string();
        let text = record.to_string();
        self.query::<()>(cmd("HSET").arg("tdfleet:{fleet}:shards").arg(shard).arg(text));
    }

    pub(crate) fn worker(&self, name: &str) -> TestWorker {
        self.worker_at(name, &self.redis.uri(), self.store.path())
    }

    pub(crate) fn worker_at(&self, name: &str, uri: &str, store: &Path) -> TestWorker {
        let settings = OwnershipSettings {
            name: Some(name.to_owned()),
            lease_s: LEASE.as_secs(),
            join_delay_s: 1,
            dwell_s: 1,
            replicas: 0,
        };
        TestWorker::start(settings, uri, store.to_owned(), self.shards)
    }
}

/// A worker. Dropping it is a crash: its locks are freed and nothing is announced.
pub(crate) struct TestWorker {
    pub(crate) ownership: Ownership,
    pub(crate) stage: Stage,
    runtime: Runtime,
}

impl TestWorker {
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
        let ownership = Ownership::start_leases(&stage, config).unwrap();
        drop(entered);
        Self { ownership, stage, runtime }
    }

    pub(crate) fn next_change(&mut self) -> OwnershipChange {
        self.next_change_within(PATIENCE).expect("a change comes")
    }

    /// The next change, if one comes within `limit`.
    pub(crate) fn next_change_within(&mut self, limit: Duration) -> Option<OwnershipChange> {
        let Self { ownership, runtime, .. } = self;
        runtime
            .block_on(async { timeout(limit, ownership.next_change()).await })
            .ok()
            .map(Result::unwrap)
    }

    pub(crate) fn next_lease(&mut self) -> Lease {
        match self.next_change() {
            OwnershipChange::Acquired(lease) => lease,
            other => panic!("{other:?} instead of a lease"),
        }
    }

    pub(crate) fn next_leases(&mut self, count: usize) -> Vec<Lease> {
        (0..count).map(|_| self.next_lease()).collect()
    }

    pub(crate) fn leave(&self) {
        self.runtime.block_on(self.ownership.leave_fleet());
    }

    /// Ends as the daemon does. Everything must have been released.
    pub(crate) fn stop(self) {
        assert!(self.runtime.block_on(self.stage.drain(PATIENCE)));
    }

    /// Waits until the shard is no longer held; returns how long that took.
    pub(crate) fn waits_until_not_held(&self, shard: Shard) -> Duration {
        let (began, guard) = (Instant::now(), self.ownership.guard());
        while guard.holds(shard) {
            assert!(began.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(5));
        }
        began.elapsed()
    }
}
