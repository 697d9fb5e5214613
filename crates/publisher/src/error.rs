//! What can go wrong, for those who use the log.

use deadpool_redis::PoolError;
use deadpool_redis::redis::RedisError;

/// The setting `publisher.uri` is no Redis URI. The text never holds the URI: it may hold a
/// password.
#[derive(Debug, thiserror::Error)]
#[error("`publisher.uri` is not a Redis URI of the form redis://user:password@host:port/db")]
pub struct InvalidUri;

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There was no connection to be had.
    #[error("cannot connect to Redis")]
    Connect(#[source] PoolError),
    /// Redis did not answer, or refused.
    #[error("cannot read the event log")]
    Read(#[source] RedisError),
}
