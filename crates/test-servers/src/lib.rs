//! Real servers for tests, private to one test or, with [`rabbitmq::shared`], to one run of tests.
//!
//! Development only. A server runs on free loopback ports, in its own directory, and is killed when
//! its handle is dropped, even if the test panics; a shared one when the run ends. A server that is
//! not installed fails the test with a message that says what to do; no test is skipped.

pub mod ports;
mod process;
pub mod rabbitmq;
pub mod raw_amqp;
pub mod redis;
mod test_run;
