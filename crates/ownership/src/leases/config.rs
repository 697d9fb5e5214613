//! The configuration of the lease task.

use std::path::PathBuf;
use std::time::Duration;

use contracts::{Names, ShardCount};
use runtime::Clock;
use settings::{OwnershipSettings, SecretString};

/// Parameters of [`Ownership::start_leases`](crate::Ownership::start_leases).
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// Times and worker name.
    pub settings: OwnershipSettings,
    /// URI of the event log's Redis. Secret.
    pub uri: SecretString,
    /// Timeout of a request to Redis; a sixth of the lease if that is shorter.
    pub timeout: Duration,
    /// Names of the keys.
    pub names: Names,
    /// Number of shards. This worker may own any of them.
    pub count: ShardCount,
    /// The store: the directory with the accounts' databases.
    pub data_dir: PathBuf,
    /// For the epochs.
    pub clock: Clock,
}
