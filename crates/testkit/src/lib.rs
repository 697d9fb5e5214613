//! For tests alone: stand-ins for what tdfleet runs on.

mod scripted;

pub use scripted::{Reply, Request, Scripted};
