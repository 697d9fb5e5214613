//! The bus on a real RabbitMQ, private to these tests.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod amqp_client;
mod declarations;
mod deliveries;
mod handover;
mod healing;
mod limits;
mod malformed;
mod misrouted;
mod operator;
mod outage;
mod replies;
mod support;
