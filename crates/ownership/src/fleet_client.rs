//! The operator's access to the fleet's records in Redis.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::{Names, Shard};
use settings::SecretString;
use tokio::time::{Instant, sleep};

use crate::error::OwnershipError;
use crate::fleet_view::FleetView;
use crate::record::WorkerRecord;
use crate::redis::{HeartbeatRequest, HeartbeatResponse, LeaseConnection};

/// Workers send a heartbeat at least about every second; one that is silent for this long is dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(3);
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// Reads the fleet's records and pins shards. It is not a worker and owns nothing.
pub struct FleetClient {
    connection: LeaseConnection,
}

impl FleetClient {
    /// A client of the Redis at `uri`. Connects on first use.
    ///
    /// # Errors
    ///
    /// [`OwnershipError::InvalidUri`].
    pub fn new(
        uri: &SecretString,
        timeout: Duration,
        names: Names,
    ) -> Result<Self, OwnershipError> {
        LeaseConnection::new(uri, timeout, names, 0).map(|connection| Self { connection })
    }

    /// Reads all records, and watches the workers until each has sent a heartbeat, for three
    /// seconds at most.
    ///
    /// # Errors
    ///
    /// [`OwnershipError::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn view(&mut self) -> Result<FleetView, OwnershipError> {
        let deadline = Instant::now() + SILENCE_LIMIT;
        let first = self.read().await?.worker_records();
        loop {
            let response = self.read().await?;
            let workers = response.worker_records();
            let is_live = |name: &String, worker: &WorkerRecord| {
                first.get(name).is_none_or(|known| known != worker)
            };
            let live: BTreeMap<String, bool> = workers
                .iter()
                .map(|(name, worker)| (name.clone(), is_live(name, worker)))
                .collect();
            if Instant::now() >= deadline || live.values().all(|&live| live) {
                return Ok(FleetView::new(&response, workers, &live));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Pins a shard to a worker, which acquires it as soon as the rules allow; `None` removes the
    /// pin.
    ///
    /// # Errors
    ///
    /// [`OwnershipError::Redis`].
    pub async fn pin(&mut self, shard: Shard, worker: Option<&str>) -> Result<(), OwnershipError> {
        self.connection.pin(shard, worker).await.map_err(OwnershipError::Redis)
    }

    async fn read(&mut self) -> Result<HeartbeatResponse, OwnershipError> {
        let request = HeartbeatRequest::default();
        self.connection.heartbeat(&request).await.map_err(OwnershipError::Redis)
    }
}
