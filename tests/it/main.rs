//! End-to-end tests: the worker's own process on real libtdjson, RabbitMQ and Redis, logged in to the
//! sandbox over MTProto; seen from the outside, through AMQP, Redis and signals alone.
//!
//! `make test` gives what they need: a network namespace with nothing but loopback, the servers'
//! programs, and libtdjson in `TDFLEET_TDLIB_LIBRARY`.

mod absence;
mod cli;
mod command;
mod commands;
mod examples;
mod refusals;
mod shutdown;
#[path = "../support/lib.rs"]
mod support;
