//! The two places logs are read from, behind one type.

use std::sync::Arc;

use contracts::{AccountId, EventId};

use crate::error::ReadError;
use crate::memory::{Memory, MemoryLive};
use crate::redis::{RedisLive, RedisReader};
use crate::stored::Stored;

#[derive(Clone)]
pub(crate) enum Backend {
    Redis(Box<RedisReader>),
    Memory(Arc<Memory>),
}

impl Backend {
    /// Where it is, for a log line: no credentials.
    pub(crate) fn place(&self) -> &str {
        match self {
            Self::Redis(reader) => reader.place(),
            Self::Memory(_) => "this process",
        }
    }

    /// Events after `after` (from the oldest on if `None`), oldest first, at most `limit`.
    pub(crate) async fn read(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<Stored>, ReadError> {
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

    /// Live events of these accounts, from now on; others may come along.
    pub(crate) async fn subscribe(&self, accounts: &[AccountId]) -> Result<Live, ReadError> {
        match self {
            Self::Redis(reader) => reader.subscribe(accounts).await.map(Live::Redis),
            Self::Memory(memory) => Ok(Live::Memory(memory.subscribe())),
        }
    }
}

pub(crate) enum Live {
    Redis(RedisLive),
    Memory(MemoryLive),
}

impl Live {
    /// The next event; `None` when the subscription is lost and a new one must be made.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing that was received is lost.
    pub(crate) async fn next(&mut self) -> Option<Stored> {
        match self {
            Self::Redis(live) => live.next().await,
            Self::Memory(live) => live.next().await,
        }
    }
}
