//! Real servers for tests, private to one test binary and gone with it.
//!
//! Development only. A server runs on free loopback ports, in a directory of its own, and ends when
//! its handle is dropped, also when the test panics. A server that is not installed fails the test
//! with words that say what to do; nothing is skipped.

pub mod ports;
pub mod rabbitmq;
pub mod redis;
