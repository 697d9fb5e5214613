use std::time::Duration;

use serde::Deserialize;

use crate::faults::SettingFaults;

/// `[ownership]`: how the workers share the shards, by leases on the publisher's Redis.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnershipSettings {
    /// Name of this worker, stable across restarts and unique in the installation: letters, digits,
    /// `_`, `-` and `.`. Default: the host name, followed by `-2`, `-3`, … when several workers share
    /// a data directory.
    pub name: Option<String>,
    /// Seconds until a lease that is not renewed expires: 2 to 600; the same on every worker. A
    /// worker that cannot reach Redis for two thirds of this time closes its accounts. Default: 15.
    pub lease_s: u64,
    /// Seconds until shards move from other workers to a new one: 0 to 3600. Default: 10.
    pub join_delay_s: u64,
    /// Minimum seconds between two moves of a shard: 0 to 86400. Default: 60.
    pub dwell_s: u64,
    /// Redis replicas that must acknowledge a renewal before it counts (`WAIT`): 0 to 10. Default: 0.
    pub replicas: u8,
}

impl Default for OwnershipSettings {
    fn default() -> Self {
        Self { name: None, lease_s: 15, join_delay_s: 10, dwell_s: 60, replicas: 0 }
    }
}

impl OwnershipSettings {
    /// [`Self::lease_s`] as a duration.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s)
    }

    /// [`Self::join_delay_s`] as a duration.
    pub fn join_delay(&self) -> Duration {
        Duration::from_secs(self.join_delay_s)
    }

    /// [`Self::dwell_s`] as a duration.
    pub fn dwell(&self) -> Duration {
        Duration::from_secs(self.dwell_s)
    }

    pub(crate) fn check(&self, faults: &mut SettingFaults) {
        let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let named = |name: &String| (1..=64).contains(&name.len()) && name.chars().all(word);
        if !self.name.as_ref().is_none_or(named) {
            faults.add("ownership.name", "must be 1 to 64 letters, digits, `_`, `-` and `.`");
        }
        let ranges = [
            ("ownership.lease_s", self.lease_s, 2..=600),
            ("ownership.join_delay_s", self.join_delay_s, 0..=3600),
            ("ownership.dwell_s", self.dwell_s, 0..=86_400),
            ("ownership.replicas", self.replicas.into(), 0..=10),
        ];
        for (name, value, range) in ranges {
            if !range.contains(&value) {
                let (low, high) = (range.start(), range.end());
                faults.add(name, format!("must be between {low} and {high}"));
            }
        }
    }
}
