//! A client of tdfleet: commands go out by RabbitMQ, events come in by Redis.

pub mod commands;
pub mod events;
