use contracts::{AccountId, EventId};

use crate::stored::StoredEvent;

/// Where to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPosition {
    /// With the next event that is stored.
    Now,
    /// After this event.
    After(EventId),
    /// With the oldest event kept.
    Beginning,
}

/// What a follower yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowedItem {
    /// The next event of its account.
    Event(StoredEvent),
    /// Events between `after` and `next` are no longer in the log (trimmed, expired, or lost by
    /// Redis); `next` follows.
    Gap {
        /// The account.
        account: AccountId,
        /// The last event before the gap.
        after: EventId,
        /// The first event after it.
        next: EventId,
    },
}
