use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, RedisError};
use settings::{ExposeSecret, SecretString};

use crate::error::InvalidUri;

/// The address of Redis, and how long to wait for it.
#[derive(Clone)]
pub(crate) struct RedisClient {
    pub(super) client: Client,
    /// `host:port`.
    pub(super) endpoint: String,
    pub(super) timeout: Duration,
}

impl RedisClient {
    pub(crate) fn new(uri: &SecretString, timeout: Duration) -> Result<Self, InvalidUri> {
        // The error's own text is left out: it may quote the URI.
        let client = Client::open(uri.expose_secret()).map_err(|_| InvalidUri)?;
        let endpoint = client.get_connection_info().addr().to_string();
        Ok(Self { client, endpoint, timeout })
    }

    pub(super) fn connection_config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
    }

    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        self.client.get_multiplexed_async_connection_with_config(&self.connection_config()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_shows() {
        let uri = SecretString::from("redis://user:hunter2@redis.example:7000/0");
        let client = RedisClient::new(&uri, Duration::from_secs(1)).unwrap();
        assert_eq!(client.endpoint, "redis.example:7000");
        let error = RedisClient::new(&"redis://user:hunter2@:x".into(), client.timeout).err();
        assert!(!runtime::error_chain(&error.unwrap()).contains("hunter2"));
    }
}
