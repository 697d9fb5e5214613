use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::faults::SettingFaults;
use crate::uri::ServerUri;

/// `[publisher]`: the event log and the live channels on Redis.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublisherSettings {
    /// Redis URI, `redis://user:password@host:port/db`. Secret. Default: `redis://127.0.0.1:6379/0`.
    pub uri: SecretString,
    /// Approximate number of events kept per account; older ones are trimmed: 100 to 10000000.
    /// Default: 10000.
    pub max_events: u64,
    /// Seconds that an event is kept after its `occurred_at`: 60 to 31536000. Default: 2592000
    /// (30 days).
    pub max_age_s: u64,
    /// Seconds after which the keys of an account without a new event expire: 60 to 31536000.
    /// Default: 2592000 (30 days).
    pub idle_expiry_s: u64,
    /// Has no effect any more: an account that no worker runs has no keys. Default: 3600.
    pub unknown_expiry_s: u64,
    /// Approximate number of answered commands in the audit stream, which `tdfleet audit` prints: who,
    /// account, command, id, outcome. 0 to 10000000; 0 keeps none. Default: 100000 (about 30 MB).
    pub audit_entries: u64,
    /// Timeout of each Redis request, in milliseconds: 100 to 600000. Default: 5000.
    pub timeout_ms: u64,
}

impl Default for PublisherSettings {
    fn default() -> Self {
        Self {
            uri: "redis://127.0.0.1:6379/0".into(),
            max_events: 10_000,
            max_age_s: 30 * 24 * 3600,
            idle_expiry_s: 30 * 24 * 3600,
            unknown_expiry_s: 3600,
            audit_entries: 100_000,
            timeout_ms: 5_000,
        }
    }
}

impl PublisherSettings {
    /// [`Self::timeout_ms`] as a duration.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn check(&self, faults: &mut SettingFaults) {
        match ServerUri::parse(self.uri.expose_secret(), "redis") {
            Ok(uri) if uri.path().is_empty() || uri.path().parse::<u32>().is_ok() => {}
            Ok(_) => faults.add("publisher.uri", "must end with the number of a database"),
            Err(problem) => faults.add("publisher.uri", problem),
        }
        let ranges = [
            ("publisher.max_events", self.max_events, 100..=10_000_000),
            ("publisher.max_age_s", self.max_age_s, 60..=31_536_000),
            ("publisher.idle_expiry_s", self.idle_expiry_s, 60..=31_536_000),
            ("publisher.unknown_expiry_s", self.unknown_expiry_s, 60..=31_536_000),
            ("publisher.audit_entries", self.audit_entries, 0..=10_000_000),
            ("publisher.timeout_ms", self.timeout_ms, 100..=600_000),
        ];
        for (name, value, range) in ranges {
            if !range.contains(&value) {
                let (low, high) = (range.start(), range.end());
                faults.add(name, format!("must be between {low} and {high}"));
            }
        }
    }
}
