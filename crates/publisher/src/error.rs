//! Errors of opening and reading a log.

use deadpool_redis::PoolError;
use deadpool_redis::redis::RedisError;

/// The setting `publisher.uri` is not a Redis URI. The text never contains the URI, which may hold a
/// password.
#[derive(Debug, thiserror::Error)]
#[error("`publisher.uri` is not a Redis URI of the form redis://user:password@host:port/db")]
pub struct InvalidUri;

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No connection could be made.
    #[error("cannot connect to Redis")]
    Connect(#[source] PoolError),
    /// Redis did not answer, or refused.
    #[error("cannot read the event log")]
    Read(#[source] RedisError),
}
