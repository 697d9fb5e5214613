//! An event with its position in the log.

use std::fmt;

use bytes::Bytes;
use contracts::{AccountId, EventEnvelope, EventId};

/// An event in the log: the very bytes that are in the stream and on the live channel.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The account.
    pub account: AccountId,
    /// Its position, `_meta.event_id`.
    pub id: EventId,
    /// Position of the event before it, `_meta.prev`; `None` for the first one.
    pub prev: Option<EventId>,
    /// The envelope, as `contracts::Event::encode` writes it.
    pub json: Bytes,
}

/// The envelope may hold message text: only its size shows.
impl fmt::Debug for StoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredEvent({} {}, {} bytes)", self.account, self.id, self.json.len())
    }
}

impl StoredEvent {
    /// Reads an envelope; `None` if it is no event of tdfleet.
    pub fn read(json: Bytes) -> Option<Self> {
        let EventEnvelope { account, id, prev, .. } = EventEnvelope::read(&json)?;
        Some(Self { account: account?, id: id?, prev, json })
    }
}
