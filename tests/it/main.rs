//! End-to-end tests: the worker's process on the real libtdjson, RabbitMQ and Redis, logged in to the
//! sandbox over MTProto. Tests use only AMQP, Redis and signals.
//!
//! `make test` provides what they need: a network namespace with nothing but loopback, the servers'
//! programs, and libtdjson in `TDFLEET_TDLIB_LIBRARY`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, reads as one story, and passes `json!` by value"
)]

mod account_states;
mod callers;
mod chaos;
mod cli;
mod command;
mod commands;
mod dead_letters;
mod examples;
mod fleet;
mod hostile;
#[path = "../support/installation.rs"]
mod installation;
mod openings;
mod outages;
mod output;
mod pacing;
mod processes;
mod refusals;
mod secrets;
mod shutdown;
mod startup;
#[path = "../support/lib.rs"]
mod support;
