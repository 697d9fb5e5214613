//! The Redis server's own facts, for the operator's `doctor`.

use deadpool_redis::redis::{AsyncConnectionConfig, Client, RedisError, cmd};
use settings::{ExposeSecret, PublisherSettings};

use crate::error::InvalidUri;

/// How a Redis server is configured, as far as the logs depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisFacts {
    /// Its version, such as `7.2.4`.
    pub version: String,
    /// Accepts writes; `false` for a replica.
    pub primary: bool,
    /// Keeps an append-only file (`appendonly yes`).
    pub append_only: bool,
    /// What it does when its memory is full: `noeviction` keeps everything.
    pub eviction: String,
}

/// Why the facts are not known.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The setting is not a URI.
    #[error(transparent)]
    Uri(#[from] InvalidUri),
    /// It is unreachable, or rejects the user or the password.
    #[error("cannot connect to Redis")]
    Connect(#[source] RedisError),
    /// It does not answer `INFO`, or this user may not ask.
    #[error("Redis does not answer INFO")]
    Info(#[source] RedisError),
}

impl RedisFacts {
    /// Asks Redis over a separate connection, which is closed afterwards.
    ///
    /// # Errors
    ///
    /// [`CheckError`], each step within `publisher.timeout_ms`.
    pub async fn ask(settings: &PublisherSettings) -> Result<Self, CheckError> {
        // The error's own text is left out: it may quote the URI.
        let client = Client::open(settings.uri.expose_secret()).map_err(|_| InvalidUri)?;
        let timeout = settings.timeout();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout));
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await.map_err(CheckError::Connect)?;
        let info: Result<String, _> = cmd("INFO").query_async(&mut connection).await;
        Ok(Self::read(&info.map_err(CheckError::Info)?))
    }

    fn read(info: &str) -> Self {
        let value = |name: &str| {
            let named = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key == name);
            let line = info.lines().find(named).and_then(|line| line.split_once(':'));
            line.map_or("", |(_, value)| value.trim())
        };
        Self {
            version: value("redis_version").to_owned(),
            primary: value("role") == "master",
            append_only: value("aof_enabled") == "1",
            eviction: value("maxmemory_policy").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use test_servers::redis::{Persistence, RedisServer};

    use super::*;

    fn settings(uri: &str) -> PublisherSettings {
        PublisherSettings { uri: uri.into(), ..PublisherSettings::default() }
    }

    #[tokio::test]
    async fn a_real_redis_reports_its_configuration() {
        for (persistence, append_only) in
            [(Persistence::AppendOnly, true), (Persistence::None, false)]
        {
            let server = RedisServer::start_with(persistence);
            let facts = RedisFacts::ask(&settings(&server.uri())).await.unwrap();
            assert!(facts.primary && !facts.version.is_empty(), "{facts:?}");
            assert_eq!((facts.append_only, &*facts.eviction), (append_only, "noeviction"));
        }
    }

    #[tokio::test]
    async fn the_error_for_an_unreachable_redis_hides_its_password() {
        let facts = RedisFacts::ask(&settings("redis://user:hush@127.0.0.1:1/0")).await;
        let error = runtime::error_chain(&facts.unwrap_err());
        assert!(error.starts_with("cannot connect to Redis"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}
