//! The connection on which the lease scripts run.

use std::time::Duration;

use contracts::{Names, Shard};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError,
    ServerErrorKind, Value, cmd,
};
use settings::{ExposeSecret, SecretString};

use crate::boot_time::BootTime;
use crate::error::OwnershipError;
use crate::record::to_json;
use crate::redis::message::{AcquireRequest, HeartbeatRequest, HeartbeatResponse};

const HEARTBEAT_SCRIPT: &str = include_str!("heartbeat.lua");
const ACQUIRE_SCRIPT: &str = include_str!("acquire.lua");

/// Connects on first use, and reconnects after any failure.
pub(crate) struct LeaseConnection {
    client: Client,
    /// `host:port`.
    endpoint: String,
    timeout: Duration,
    names: Names,
    /// How many replicas must confirm each write.
    replicas: u8,
    connection: Option<MultiplexedConnection>,
    /// Grows with every new connection.
    generation: u64,
    /// The latest moment at which the server of the last connection can have started.
    server_up_since: Option<BootTime>,
}

impl LeaseConnection {
    pub(crate) fn new(
        uri: &SecretString,
        timeout: Duration,
        names: Names,
        replicas: u8,
    ) -> Result<Self, OwnershipError> {
        // The error itself is dropped: its text may quote the URI.
        let client = Client::open(uri.expose_secret()).map_err(|_| OwnershipError::InvalidUri)?;
        let endpoint = client.get_connection_info().addr().to_string();
        Ok(Self {
            client,
            endpoint,
            timeout,
            names,
            replicas,
            connection: None,
            generation: 0,
            server_up_since: None,
        })
    }

    /// `host:port` of the server, for log lines.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Number of the current connection; it changes with every reconnect.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The latest moment at which Redis can have started; `None` if unknown.
    pub(crate) fn server_up_since(&self) -> Option<BootTime> {
        self.server_up_since
    }

    /// Sends one heartbeat. Fails as well if too few replicas confirm it.
    pub(crate) async fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatResponse, RedisError> {
        let names = &self.names;
        let keys = [names.shards_key(), names.workers_key(), names.pins_key(), names.move_key()];
        let arguments = to_json(request);
        let command = eval(HEARTBEAT_SCRIPT, &keys, &[arguments.as_str()]);
        let (mut answers, replicated) = self.run(vec![command]).await?;
        if !replicated {
            return Err(std::io::Error::other("too few replicas").into());
        }
        let answer = answers.pop().unwrap_or(Value::Nil);
        let fields = parse(answer)?;
        let (announced, move_started, lost, shards, workers, pins, current_move, time_ms, expired) =
            fields;
        Ok(HeartbeatResponse {
            announced,
            move_started,
            lost,
            shards,
            workers,
            pins,
            current_move,
            time_ms,
            expired,
        })
    }

    /// Acquires shards; returns those that this worker now owns. It owns none of them unless enough
    /// replicas confirm.
    pub(crate) async fn acquire(
        &mut self,
        requests: &[AcquireRequest],
    ) -> Result<Vec<Shard>, RedisError> {
        let keys = [self.names.shards_key(), self.names.move_key()];
        let command = |request: &AcquireRequest| {
            let shard = request.shard.to_string();
            eval(ACQUIRE_SCRIPT, &keys, &[shard.as_str(), &request.seen, &request.record])
        };
        let (answers, replicated) = self.run(requests.iter().map(command).collect()).await?;
        let mut acquired = Vec::new();
        for (request, answer) in requests.iter().zip(answers) {
            if parse::<bool>(answer)? && replicated {
                acquired.push(request.shard);
            }
        }
        Ok(acquired)
    }

    /// Pins a shard to a worker, or removes its pin.
    pub(crate) async fn pin(
        &mut self,
        shard: Shard,
        worker: Option<&str>,
    ) -> Result<(), RedisError> {
        let key = self.names.pins_key();
        let command = match worker {
            Some(worker) => cmd("HSET").arg(key).arg(shard.to_string()).arg(worker).take(),
            None => cmd("HDEL").arg(key).arg(shard.to_string()).take(),
        };
        self.run(vec![command]).await.map(drop)
    }

    /// Runs commands in one pipeline. Returns their answers, and whether enough replicas confirmed
    /// the writes. The connection is kept only if every command succeeded.
    async fn run(&mut self, mut commands: Vec<Cmd>) -> Result<(Vec<Value>, bool), RedisError> {
        let replicas = u64::from(self.replicas);
        if replicas > 0 {
            let wait_ms = u64::try_from(self.timeout.as_millis() / 2).unwrap_or(u64::MAX);
            commands.push(cmd("WAIT").arg(replicas).arg(wait_ms).take());
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut pipeline = Pipeline::with_capacity(commands.len());
        let count = commands.len();
        for command in commands {
            pipeline.add_command(command);
        }
        let answers = connection.send_packed_commands(&pipeline, 0, count).await?;
        let mut answers: Vec<Value> =
            answers.into_iter().map(Value::extract_error).collect::<Result<_, _>>()?;
        self.connection = Some(connection);
        let mut replicated = true;
        if replicas > 0 {
            replicated = parse::<u64>(answers.pop().unwrap_or(Value::Nil))? >= replicas;
        }
        Ok((answers, replicated))
    }

    async fn connect(&mut self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        self.generation += 1;
        self.server_up_since = read_start_time(&mut connection).await?;
        Ok(connection)
    }
}

/// Sends the script's text with each call, about once a second, so that nothing has to be loaded
/// after a restart of Redis.
fn eval(script: &str, keys: &[String], arguments: &[&str]) -> Cmd {
    cmd("EVAL").arg(script).arg(keys.len()).arg(keys).arg(arguments).take()
}

/// When the server started, at the latest; `None` if we lack the permission to ask.
async fn read_start_time(
    connection: &mut MultiplexedConnection,
) -> Result<Option<BootTime>, RedisError> {
    let asked_at = BootTime::now();
    let info: Value = match cmd("INFO").arg("server").query_async(connection).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {
            return Ok(None);
        }
        info => info?,
    };
    let info: String = parse(info)?;
    let uptime = info.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:"));
    let uptime = uptime.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
    Ok(uptime.map(|uptime| BootTime(asked_at.0.saturating_sub(uptime))))
}

fn parse<T: FromRedisValue>(value: Value) -> Result<T, RedisError> {
    deadpool_redis::redis::from_redis_value(value).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    use test_servers::redis::RedisServer;

    use super::*;
    use crate::record::{ShardRecord, to_json};
    use crate::redis::message::RecordWrite;
    use crate::rules::may_renew;

    fn any_record() -> impl Strategy<Value = Option<ShardRecord>> {
        let owner = prop_oneof![Just(""), Just("me/1"), Just("me/2"), Just("you/1")];
        let record = (1..5_u64, owner, 0..3_u64).prop_map(|(epoch, owner, heartbeat)| {
            ShardRecord { epoch, owner: owner.to_owned(), heartbeat, ..ShardRecord::default() }
        });
        prop::option::of(record)
    }

    #[test]
    fn the_script_renews_exactly_what_the_rule_allows() {
        let server = RedisServer::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let names = Names::default();
        let timeout = Duration::from_secs(5);
        let connection =
            LeaseConnection::new(&server.uri().into(), timeout, names.clone(), 0).unwrap();
        let other = Client::open(server.uri()).unwrap().get_connection().unwrap();
        let (connection, other) = (RefCell::new(connection), RefCell::new(other));
        let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
        let any = (any_record(), 1..5_u64, any::<bool>());
        let checked = runner.run(&any, |(known, epoch, free)| {
            let mut other = other.borrow_mut();
            cmd("DEL").arg(names.shards_key()).exec(&mut *other).unwrap();
            if let Some(known) = &known {
                let text = to_json(known);
                cmd("HSET")
                    .arg(names.shards_key())
                    .arg("s000")
                    .arg(text)
                    .exec(&mut *other)
                    .unwrap();
            }
            let owner = if free { String::new() } else { "me/1".to_owned() };
            let record = ShardRecord { epoch, owner, heartbeat: 9, ..ShardRecord::default() };
            let write = RecordWrite {
                shard: "s000".to_owned(),
                owner: "me/1".to_owned(),
                epoch,
                record: to_json(&record),
            };
            let mut request = HeartbeatRequest::default();
            if free { &mut request.free } else { &mut request.renew }.push(write);
            let answer = runtime.block_on(connection.borrow_mut().heartbeat(&request)).unwrap();
            let now = answer.shards.get("s000").map(|text| serde_json::from_str(text).unwrap());
            let own = |known: &ShardRecord| known.epoch == epoch && known.owner == "me/1";
            let written = if free {
                known.as_ref().is_some_and(own)
            } else {
                may_renew(known.as_ref(), "me/1", epoch)
            };
            prop_assert_eq!(now, if written { Some(record) } else { known });
            prop_assert_eq!(answer.lost.is_empty(), free || written);
            Ok(())
        });
        checked.unwrap();
    }

    #[test]
    fn a_request_that_arrives_too_late_only_reads() {
        let server = RedisServer::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let timeout = Duration::from_secs(5);
        let mut connection =
            LeaseConnection::new(&server.uri().into(), timeout, Names::default(), 0).unwrap();
        let mut request = HeartbeatRequest {
            name: "me".to_owned(),
            record: "{}".to_owned(),
            ..HeartbeatRequest::default()
        };
        request.expires_at_ms = 1;
        let late = runtime.block_on(connection.heartbeat(&request)).unwrap();
        assert!(late.expired && !late.announced && late.workers.is_empty());
        request.expires_at_ms = late.time_ms + 10_000;
        let answer = runtime.block_on(connection.heartbeat(&request)).unwrap();
        assert!(!answer.expired && answer.announced && answer.workers.len() == 1);
    }

    #[test]
    fn errors_and_endpoint_never_contain_the_password() {
        let timeout = Duration::from_secs(1);
        let uri = SecretString::from("redis://user:hunter2@redis.example:7000/0");
        let connection = LeaseConnection::new(&uri, timeout, Names::default(), 0).unwrap();
        assert_eq!(connection.endpoint(), "redis.example:7000");
        let error =
            LeaseConnection::new(&"redis://user:hunter2@:x".into(), timeout, Names::default(), 0)
                .err()
                .unwrap();
        assert!(!runtime::error_chain(&error).contains("hunter2"));
    }
}
