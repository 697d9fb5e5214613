//! Ids that cross the wire, each with its own type.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An account: one Telegram user or bot, `userbot_id` on the wire; a positive integer that the
/// operator chooses, at most 2^53 − 1 so that every JSON reader keeps it exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct AccountId(i64);

/// The largest integer that every JSON reader keeps exact: 2^53 − 1.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

impl AccountId {
    /// `None` outside 1 ..= 2^53 − 1.
    pub fn new(id: i64) -> Option<Self> {
        (1..=MAX_SAFE_INTEGER).contains(&id).then_some(Self(id))
    }

    /// The number itself.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AccountId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.parse().ok().and_then(Self::new).ok_or(NotAnId)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = i64::deserialize(deserializer)?;
        Self::new(id).ok_or_else(|| serde::de::Error::custom("an account id is at least 1"))
    }
}

/// The text is not an id of the expected form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

/// Identifies one command: 1 to 128 bytes, chosen by the caller (usually a UUID), the same on
/// every redelivery and retry. AMQP's `message_id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct CommandId(Arc<str>);

impl CommandId {
    /// `None` unless the text has 1 to 128 bytes.
    pub fn new(text: &str) -> Option<Self> {
        (1..=128).contains(&text.len()).then(|| Self(text.into()))
    }

    /// A new UUID of version 7, so that ids sort by creation time.
    pub fn random() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A new trace id in the form of W3C Trace Context: 32 hexadecimal digits.
pub fn random_trace_id() -> Arc<str> {
    uuid::Uuid::new_v4().simple().to_string().into()
}

/// The fencing token: grows each time a shard changes owners, and never decreases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Position of an event in its account's log: `<epoch>-<n>`, strictly increasing; `n` counts from 1
/// within an epoch. It is the id of the Redis stream entry, and where a client resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    /// The owner's epoch.
    pub epoch: Epoch,
    /// Number within the epoch, from 1.
    pub n: u64,
}

impl EventId {
    /// The first event of `epoch`.
    pub fn first(epoch: Epoch) -> Self {
        Self { epoch, n: 1 }
    }

    /// The next id in the same epoch; after the last one, the first of the next epoch.
    #[must_use]
    pub fn next(self) -> Self {
        match self.n.checked_add(1) {
            Some(n) => Self { n, ..self },
            None => Self::first(Epoch(self.epoch.0.saturating_add(1))),
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.n)
    }
}

impl FromStr for EventId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (epoch, n) = text.split_once('-').ok_or(NotAnId)?;
        let epoch = Epoch(epoch.parse().map_err(|_| NotAnId)?);
        Ok(Self { epoch, n: n.parse().map_err(|_| NotAnId)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_positive_and_fits_53_bits() {
        assert_eq!(AccountId::new(0), None);
        assert_eq!(AccountId::new(MAX_SAFE_INTEGER + 1), None);
        assert_eq!("17".parse::<AccountId>().unwrap().get(), 17);
        assert_eq!("-1".parse::<AccountId>(), Err(NotAnId));
    }

    #[test]
    fn event_ids_sort_by_epoch_and_then_by_number() {
        let id: EventId = "42-17".parse().unwrap();
        assert_eq!(id.next().to_string(), "42-18");
        assert!(id < EventId::first(Epoch(43)));
        assert_eq!("42".parse::<EventId>(), Err(NotAnId));
    }
}
