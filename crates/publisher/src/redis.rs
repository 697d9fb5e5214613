//! Logs on Redis.

mod client;
mod decode;
mod encode;
#[cfg(test)]
mod fuzz;
mod reader;
mod script;
mod store;
mod subscription;

pub(crate) use client::RedisClient;
pub(crate) use reader::RedisReader;
pub(crate) use store::RedisStore;
pub(crate) use subscription::RedisSubscription;
