//! What can go wrong, for those who own shards.

use std::io;
use std::path::PathBuf;

use deadpool_redis::redis::RedisError;

/// Why shards cannot be owned, or the fleet not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory of the store cannot be made.
    #[error("cannot make the directory `{}`", .0.display())]
    MakeDirectory(PathBuf, #[source] io::Error),
    /// A file of the store cannot be opened or locked.
    #[error("cannot lock `{}`", .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// A shard's epoch cannot be read or written.
    #[error("cannot keep the epoch in `{}`", .0.display())]
    Epoch(PathBuf, #[source] io::Error),
    /// The store's id cannot be read or written.
    #[error("cannot keep the store's id in `{}`", .0.display())]
    StoreId(PathBuf, #[source] io::Error),
    /// The setting `publisher.uri` is no Redis URI. The text never holds the URI: it may hold a
    /// password.
    #[error("`publisher.uri` is not a Redis URI of the form redis://user:password@host:port/db")]
    InvalidUri,
    /// The thread that watches the leases' time cannot be started.
    #[error("cannot start the leases' watchdog")]
    Watchdog(#[source] io::Error),
    /// There is no connection to Redis, or it did not answer.
    #[error("cannot ask Redis for the leases")]
    Redis(#[source] RedisError),
}
