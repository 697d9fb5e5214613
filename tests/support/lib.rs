//! The environment of an end-to-end test, and a backend that talks to the worker in it.

mod backend;
mod contract;
pub(crate) mod world;

pub(crate) use backend::{Backend, routing_key};
pub(crate) use world::{Worker, World};
