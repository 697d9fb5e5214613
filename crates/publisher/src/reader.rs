//! Reading logs, from Redis or from memory.

use std::sync::Arc;

use contracts::{AccountId, EventId};

use crate::error::ReadError;
use crate::memory::{MemoryLogs, MemorySubscription};
use crate::redis::{RedisReader, RedisSubscription};
use crate::stored::StoredEvent;

#[derive(Clone)]
pub(crate) enum LogReader {
    Redis(Box<RedisReader>),
    Memory(Arc<MemoryLogs>),
}

impl LogReader {
    /// Its address for a log line, without credentials.
    pub(crate) fn endpoint(&self) -> &str {
        match self {
            Self::Redis(reader) => reader.endpoint(),
            Self::Memory(_) => "this process",
        }
    }

    /// Events after `after` (from the oldest on if `None`), oldest first, at most `limit`.
    pub(crate) async fn read(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        match self {
            Self::Redis(reader) => reader.read(account, after, limit).await,
            Self::Memory(memory) => Ok(memory.read(account, after, limit)),
        }
    }

    pub(crate) async fn newest(&self, account: AccountId) -> Result<Option<EventId>, ReadError> {
        match self {
            Self::Redis(reader) => reader.newest(account).await,
            Self::Memory(memory) => Ok(memory.newest(account)),
        }
    }

    /// Subscribes to live events of these accounts; events of other accounts may be among them.
    pub(crate) async fn subscribe(
        &self,
        accounts: &[AccountId],
    ) -> Result<LiveSubscription, ReadError> {
        match self {
            Self::Redis(reader) => reader.subscribe(accounts).await.map(LiveSubscription::Redis),
            Self::Memory(memory) => Ok(LiveSubscription::Memory(memory.subscribe())),
        }
    }
}

pub(crate) enum LiveSubscription {
    Redis(RedisSubscription),
    Memory(MemorySubscription),
}

impl LiveSubscription {
    /// The next event; `None` when the subscription is lost and a new one must be made.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing that was received is lost.
    pub(crate) async fn next(&mut self) -> Option<StoredEvent> {
        match self {
            Self::Redis(subscription) => subscription.next().await,
            Self::Memory(subscription) => subscription.next().await,
        }
    }
}
