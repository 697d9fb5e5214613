//! For tests alone: stand-ins for what tdfleet runs on, and rules that hold for every event log.

pub mod log_rules;
mod scripted;
mod td_api;

pub use scripted::{Reply, Request, Scripted};
pub use td_api::{TdApi, TdDefinition};
