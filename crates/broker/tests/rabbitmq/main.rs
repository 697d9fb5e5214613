//! The bus on a real RabbitMQ, private to these tests.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod delivery;
mod operator;
mod outage;
mod support;
