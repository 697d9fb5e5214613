//! The sandbox against the real libtdjson: run it where there is no network but loopback.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod blocks;
mod facts;
mod faults;
mod login;
mod messages;
mod privacy;
mod protocol;
mod sessions;
mod support;
mod users;
mod ways_in;
