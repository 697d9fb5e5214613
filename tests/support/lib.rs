//! The environment of an end-to-end test, and a backend that talks to the worker in it.

mod backend;
mod contract;
pub(crate) mod world;

pub(crate) use backend::{Backend, routing_key};
pub(crate) use world::{Worker, World};

/// Longest wait for anything, on a busy machine: TDLib alone may be silent for more than a minute.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_mins(2);
