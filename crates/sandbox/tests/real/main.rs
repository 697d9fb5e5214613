//! The sandbox against the real libtdjson: run it where there is no network but loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod faults;
mod login;
mod protocol;
mod support;
