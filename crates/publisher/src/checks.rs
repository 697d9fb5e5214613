//! The Redis server's own facts, for the operator's `doctor`.

use contracts::{AccountId, CommandId, Flow, LedgerKey, Names};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, RedisError, cmd, pipe};
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
    /// The user of `publisher.uri`; `default` if it names none.
    pub user: String,
    /// Commands of a worker that this user may not run, each with a key or channel.
    pub refused: Vec<String>,
    /// Why Redis refuses to write a key or to publish; `None` if it does not.
    pub write_error: Option<String>,
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
    /// It does not return the accounts' heads.
    #[error("cannot read the accounts' heads")]
    Heads(#[source] RedisError),
}

/// Heads that are read in one round trip.
const HEADS_AT_ONCE: usize = 500;

impl RedisFacts {
    /// Asks Redis over a separate connection, which is closed afterwards, and tries what a worker
    /// does: it publishes to a channel that nobody listens to, and writes a key that expires within
    /// a second.
    ///
    /// # Errors
    ///
    /// [`CheckError`], each step within `publisher.timeout_ms`.
    pub async fn ask(settings: &PublisherSettings, names: &Names) -> Result<Self, CheckError> {
        let (client, mut connection) = connect(settings).await?;
        let info: Result<String, _> = cmd("INFO").query_async(&mut connection).await;
        let facts = Self::read(&info.map_err(CheckError::Info)?);
        let user = client.get_connection_info().redis_settings().username();
        let refused = refused_commands(&mut connection, names).await;
        let write_error = try_to_write(&mut connection, names).await.err();
        Ok(Self {
            user: user.unwrap_or("default").to_owned(),
            // A script that cannot be run is the first thing that is refused.
            refused: refused.unwrap_or_else(|error| vec![error.to_string()]),
            write_error: write_error.map(|error| error.to_string()),
            ..facts
        })
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
            user: String::new(),
            refused: Vec::new(),
            write_error: None,
        }
    }
}

/// Reads the epochs that accounts' heads have, as they are written there; for the operator's
/// `doctor`. Accounts without one are left out.
///
/// # Errors
///
/// [`CheckError`].
pub async fn read_epochs(
    settings: &PublisherSettings,
    names: &Names,
    accounts: impl Iterator<Item = AccountId>,
) -> Result<Vec<(AccountId, String)>, CheckError> {
    let mut connection = connect(settings).await?.1;
    let accounts: Vec<_> = accounts.collect();
    let mut epochs = Vec::new();
    for accounts in accounts.chunks(HEADS_AT_ONCE) {
        let mut pipeline = pipe();
        for account in accounts {
            pipeline.cmd("HGET").arg(names.head_key(*account)).arg("epoch");
        }
        let answers: Vec<Option<String>> =
            pipeline.query_async(&mut connection).await.map_err(CheckError::Heads)?;
        let known = accounts.iter().zip(answers);
        epochs.extend(known.filter_map(|(account, epoch)| Some((*account, epoch?))));
    }
    Ok(epochs)
}

/// Connects within `publisher.timeout_ms`.
async fn connect(
    settings: &PublisherSettings,
) -> Result<(Client, MultiplexedConnection), CheckError> {
    // The error's own text is left out: it may quote the URI.
    let client = Client::open(settings.uri.expose_secret()).map_err(|_| InvalidUri)?;
    let timeout = settings.timeout();
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout));
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let connection = connecting.await.map_err(CheckError::Connect)?;
    Ok((client, connection))
}

/// Asks Redis which of a worker's commands the user may not run; runs none of them.
async fn refused_commands(
    connection: &mut MultiplexedConnection,
    names: &Names,
) -> Result<Vec<String>, RedisError> {
    const SCRIPT: &str = include_str!("redis/permissions.lua");
    cmd("EVAL").arg(SCRIPT).arg(0).arg(worker_commands(names)).query_async(connection).await
}

/// What a worker runs, by itself and in scripts.
fn worker_commands(names: &Names) -> Vec<String> {
    let account = AccountId::new(1);
    let (log, head, live, pending, ledger) = match (account, CommandId::new("doctor")) {
        (Some(account), Some(command)) => (
            names.log_key(account),
            names.head_key(account),
            names.live_channel(account),
            names.pending_key(account, Flow::Hi),
            names.ledger_key(account, &LedgerKey { caller: None, command }),
        ),
        _ => return Vec::new(),
    };
    let (shards, moving) = (names.shards_key(), names.move_key());
    vec![
        format!("PUBLISH {live} x"),
        format!("XADD {log} * e x"),
        format!("XRANGE {log} - +"),
        format!("XREVRANGE {log} + -"),
        format!("XINFO STREAM {pending}"),
        format!("XDEL {pending} 1-1"),
        format!("HMGET {head} last"),
        format!("HGET {head} last"),
        format!("HSET {head} last x"),
        format!("TTL {head}"),
        format!("EXPIRE {head} 1"),
        format!("EXISTS {log}"),
        format!("DEL {ledger}"),
        format!("GET {ledger}"),
        format!("SET {ledger} x"),
        format!("HGETALL {shards}"),
        format!("HDEL {shards} x"),
        format!("SET {moving} x"),
        format!("EVALSHA x 1 {log}"),
        "SCRIPT LOAD x".to_owned(),
        "PING".to_owned(),
        "TIME".to_owned(),
        "WAIT 0 0".to_owned(),
    ]
}

async fn try_to_write(
    connection: &mut MultiplexedConnection,
    names: &Names,
) -> Result<(), RedisError> {
    const SCRIPT: &str = "redis.call('HSET', KEYS[1], 'doctor', '1') \
        redis.call('EXPIRE', KEYS[1], 1) return redis.call('PUBLISH', ARGV[1], '{}')";
    let (key, channel) = (names.doctor_key(), names.doctor_channel());
    cmd("EVAL").arg(SCRIPT).arg(1).arg(key).arg(channel).exec_async(connection).await
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
            let facts = RedisFacts::ask(&settings(&server.uri()), &Names::default()).await.unwrap();
            assert!(facts.primary && !facts.version.is_empty(), "{facts:?}");
            assert!(facts.refused.is_empty() && facts.write_error.is_none(), "{facts:?}");
            assert_eq!((facts.append_only, &*facts.eviction), (append_only, "noeviction"));
        }
    }

    #[tokio::test]
    async fn the_error_for_an_unreachable_redis_hides_its_password() {
        let facts =
            RedisFacts::ask(&settings("redis://user:hush@127.0.0.1:1/0"), &Names::default()).await;
        let error = runtime::error_chain(&facts.unwrap_err());
        assert!(error.starts_with("cannot connect to Redis"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}
