//! What can go wrong, for those who use the log.

use contracts::Epoch;
use deadpool_redis::PoolError;
use deadpool_redis::redis::RedisError;

/// Why an event did not get into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// A newer owner has claimed the account; nothing of this epoch will be stored any more.
    #[error("the account's log belongs to epoch {current}")]
    Fenced {
        /// The newer owner's epoch.
        current: Epoch,
    },
    /// The log was shut down first.
    #[error("the event log is closed")]
    Closed,
}

/// Why an account's log could not be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A newer owner has claimed it: do not open the account.
    #[error("the account's log belongs to epoch {current}")]
    Fenced {
        /// The newer owner's epoch.
        current: Epoch,
    },
    /// The log was shut down first.
    #[error("the event log is closed")]
    Closed,
}

impl From<NotStored> for ClaimError {
    fn from(reason: NotStored) -> Self {
        match reason {
            NotStored::Fenced { current } => Self::Fenced { current },
            NotStored::Closed => Self::Closed,
        }
    }
}

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
