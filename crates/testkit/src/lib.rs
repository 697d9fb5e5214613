//! Test doubles for what tdfleet depends on.

mod scripted;

pub use scripted::{Reply, Request, Scripted};
