//! The sandbox against the real libtdjson: run it where there is no network but loopback.

mod login;
mod support;
