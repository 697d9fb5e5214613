//! Logs on Redis.

mod answer;
mod command;
mod live;
mod reader;
mod script;
mod store;

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, RedisError};
use settings::{ExposeSecret, SecretString};

pub(crate) use live::RedisLive;
pub(crate) use reader::RedisReader;
pub(crate) use store::RedisStore;

use crate::error::InvalidUri;

/// Where Redis is, and how long to wait for it.
#[derive(Clone)]
pub(crate) struct Server {
    client: Client,
    /// `host:port`.
    place: String,
    timeout: Duration,
}

impl Server {
    pub(crate) fn new(uri: &SecretString, timeout: Duration) -> Result<Self, InvalidUri> {
        // The error's own text is left out: it may quote the URI.
        let client = Client::open(uri.expose_secret()).map_err(|_| InvalidUri)?;
        let place = client.get_connection_info().addr().to_string();
        Ok(Self { client, place, timeout })
    }

    fn connection_config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        self.client.get_multiplexed_async_connection_with_config(&self.connection_config()).await
    }
}
