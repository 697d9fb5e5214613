//! The world a test runs in, and the ways a backend has into it.

mod backend;
mod contract;
mod world;

pub(crate) use backend::{Backend, routing_key};
pub(crate) use world::{SHARDS, Worker, World};
