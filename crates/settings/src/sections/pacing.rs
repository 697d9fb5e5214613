use serde::Deserialize;

use crate::faults::SettingFaults;

/// `[pacing]`: how fast the commands of one account leave for Telegram.
///
/// Each account has a token bucket for each class of commands: `burst` commands may leave at once,
/// then `per_minute` in the long run. The buckets are full when a worker takes over an account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PacingSettings {
    /// Reads in a minute: 1 to 600000. Default: 1800.
    pub reads_per_minute: u32,
    /// Reads at once: 1 to 100000. Default: 300.
    pub reads_burst: u32,
    /// Reads that wait for TDLib's answer at the same time: 1 to 10000. Further ones wait in their
    /// lane. Default: 32.
    pub reads_in_flight: u32,
    /// Writes in a minute: 1 to 600000. Default: 600.
    pub writes_per_minute: u32,
    /// Writes at once: 1 to 100000. Default: 200.
    pub writes_burst: u32,
    /// Sent messages in a minute: 1 to 600000. Default: 60.
    pub sends_per_minute: u32,
    /// Sent messages at once: 1 to 100000. Default: 30.
    pub sends_burst: u32,
    /// Login steps in a minute: 1 to 600000. Default: 20.
    pub logins_per_minute: u32,
    /// Login steps at once: 1 to 100000. Default: 20.
    pub logins_burst: u32,
}

impl Default for PacingSettings {
    fn default() -> Self {
        Self {
            reads_per_minute: 1800,
            reads_burst: 300,
            reads_in_flight: 32,
            writes_per_minute: 600,
            writes_burst: 200,
            sends_per_minute: 60,
            sends_burst: 30,
            logins_per_minute: 20,
            logins_burst: 20,
        }
    }
}

impl PacingSettings {
    /// The least pacing that the settings allow.
    pub fn fastest() -> Self {
        let (rate, burst) = (600_000, 100_000);
        Self {
            reads_per_minute: rate,
            reads_burst: burst,
            reads_in_flight: 10_000,
            writes_per_minute: rate,
            writes_burst: burst,
            sends_per_minute: rate,
            sends_burst: burst,
            logins_per_minute: rate,
            logins_burst: burst,
        }
    }

    pub(crate) fn check(&self, faults: &mut SettingFaults) {
        let rates = 1..=600_000;
        let bursts = 1..=100_000;
        let ranges = [
            ("pacing.reads_per_minute", self.reads_per_minute, &rates),
            ("pacing.reads_burst", self.reads_burst, &bursts),
            ("pacing.reads_in_flight", self.reads_in_flight, &(1..=10_000)),
            ("pacing.writes_per_minute", self.writes_per_minute, &rates),
            ("pacing.writes_burst", self.writes_burst, &bursts),
            ("pacing.sends_per_minute", self.sends_per_minute, &rates),
            ("pacing.sends_burst", self.sends_burst, &bursts),
            ("pacing.logins_per_minute", self.logins_per_minute, &rates),
            ("pacing.logins_burst", self.logins_burst, &bursts),
        ];
        for (name, value, range) in ranges {
            if !range.contains(&value) {
                let (low, high) = (range.start(), range.end());
                faults.add(name, format!("must be between {low} and {high}"));
            }
        }
    }
}
