//! Errors of owning shards and of reading the fleet's records.

use std::io;
use std::path::PathBuf;

use deadpool_redis::redis::RedisError;

/// Why shards cannot be owned, or the fleet's records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// A directory of the store cannot be created.
    #[error("cannot create the directory `{}`", .0.display())]
    CreateDirectory(PathBuf, #[source] io::Error),
    /// A file of the store cannot be opened or locked.
    #[error("cannot lock `{}`", .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// A shard's epoch cannot be read or written.
    #[error("cannot read or write the epoch in `{}`", .0.display())]
    Epoch(PathBuf, #[source] io::Error),
    /// The store's id cannot be read or written.
    #[error("cannot read or write the store id in `{}`", .0.display())]
    StoreId(PathBuf, #[source] io::Error),
    /// The setting `publisher.uri` is not a Redis URI. The text never contains the URI, which may
    /// contain a password.
    #[error("`publisher.uri` is not a Redis URI of the form redis://user:password@host:port/db")]
    InvalidUri,
    /// The thread that watches the leases cannot be started.
    #[error("cannot start the lease watchdog")]
    Watchdog(#[source] io::Error),
    /// Redis cannot be reached, did not answer in time, or answered with an error.
    #[error("cannot read the leases from Redis")]
    Redis(#[source] RedisError),
}
