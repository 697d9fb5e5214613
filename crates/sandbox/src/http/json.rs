//! The JSON of requests and responses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::call_log::HotLoop;
use crate::faults::{Fault, FaultId};

#[derive(Serialize)]
pub(super) struct SandboxSummary {
    pub(super) address: String,
    pub(super) socks_address: Option<String>,
    pub(super) secret: String,
    pub(super) accounts: u32,
    pub(super) connections: usize,
    pub(super) duplicates: Vec<Option<u32>>,
    pub(super) hot_loops: Vec<HotLoop>,
    pub(super) unknown_methods: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
pub(super) struct AccountLogin {
    pub(super) account: u32,
    pub(super) phone: String,
    pub(super) code: String,
}

/// Selects calls, connections or keys; empty selects all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallFilter {
    pub(super) account: Option<u32>,
    pub(super) method: Option<String>,
}

#[derive(Serialize)]
pub(super) struct NumberedFault {
    pub(super) id: FaultId,
    #[serde(flatten)]
    pub(super) fault: Fault,
}

#[derive(Serialize)]
pub(super) struct ClosedConnections {
    pub(super) closed: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RestartRequest {
    #[serde(default)]
    pub(super) away_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockShiftRequest {
    pub(super) seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HomeRequest {
    pub(super) data_centre: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TextRequest {
    pub(super) text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushRequest {
    /// The serialised `Updates` object, in base64.
    pub(super) updates: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamRequest {
    pub(super) per_second: u32,
    pub(super) lasts_ms: u64,
}

#[derive(Serialize)]
pub(super) struct SentMessages {
    pub(super) sent: u64,
}
