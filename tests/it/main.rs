//! End-to-end tests: the worker's own process on real libtdjson, RabbitMQ and Redis, logged in to the
//! sandbox over MTProto; seen from the outside, through AMQP, Redis and signals alone.
//!
//! `make test` gives what they need: a network namespace with nothing but loopback, the servers'
//! programs, and libtdjson in `TDFLEET_TDLIB_LIBRARY`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    reason = "a test ends by panicking, reads as one story, and hands `json!` over as it stands"
)]

mod absence;
mod chaos;
mod cli;
mod command;
mod commands;
mod dead_letters;
mod examples;
mod fleet;
mod processes;
mod refusals;
mod shutdown;
#[path = "../support/lib.rs"]
mod support;
