//! For tests alone: stand-ins for what tdfleet runs on, and rules that hold for every event log.

pub mod log_rules;
mod scripted;

pub use scripted::{Reply, Request, Scripted};
