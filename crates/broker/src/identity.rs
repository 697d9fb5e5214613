use contracts::{Names, ShardCount};
use runtime::MacKey;

/// The installation that a bus belongs to.
#[derive(Clone)]
pub struct BusIdentity {
    /// The names on RabbitMQ.
    pub names: Names,
    /// The number of shards.
    pub count: ShardCount,
    /// Signs what workers publish again: forwarded commands and dead letters.
    pub key: MacKey,
}
