//! The world a test runs in, and the ways a backend has into it.

mod backend;
mod contract;
pub(crate) mod world;

pub(crate) use backend::{Backend, routing_key};
pub(crate) use world::{Worker, World};
