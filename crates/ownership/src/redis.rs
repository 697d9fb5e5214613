//! The leases' side of Redis: one connection and two scripts.

use std::collections::HashMap;
use std::time::Duration;

use contracts::{Names, Shard};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError,
    ServerErrorKind, Value, cmd,
};
use serde::Serialize;
use settings::{ExposeSecret, SecretString};

use crate::boot_time::BootTime;
use crate::error::Error;

const BEAT: &str = include_str!("redis/beat.lua");
const TAKE: &str = include_str!("redis/take.lua");

/// A connection that is made when it is needed, and made anew after any failure.
pub(crate) struct Link {
    client: Client,
    /// `host:port`.
    place: String,
    timeout: Duration,
    names: Names,
    /// Replicas that must have what is written.
    replicas: u8,
    connection: Option<MultiplexedConnection>,
    /// Grows with every new connection.
    connections: u64,
    /// When the server of the last connection had started, at the latest.
    up_since: Option<BootTime>,
}

/// What `beat.lua` is asked.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Ask {
    pub(crate) by: u64,
    pub(crate) name: String,
    pub(crate) incarnation: String,
    pub(crate) record: String,
    pub(crate) over: String,
    pub(crate) goodbye: bool,
    pub(crate) renew: Vec<Write>,
    pub(crate) free: Vec<Write>,
    #[serde(rename = "move")]
    pub(crate) moving: String,
    pub(crate) move_ms: u64,
    pub(crate) forget: Vec<Forget>,
}

/// A lease's record to be written by its owner.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Write {
    pub(crate) shard: String,
    pub(crate) owner: String,
    pub(crate) epoch: u64,
    pub(crate) record: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Forget {
    pub(crate) name: String,
    pub(crate) record: String,
}

/// What `beat.lua` answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The worker's own record is there, and it is this incarnation's.
    pub(crate) announced: bool,
    /// The move that was asked for is this worker's.
    pub(crate) moving: bool,
    /// Shards that were not renewed, since somebody else has them.
    pub(crate) lost: Vec<String>,
    pub(crate) shards: HashMap<String, String>,
    pub(crate) workers: HashMap<String, String>,
    pub(crate) pins: HashMap<String, String>,
    /// The shard that moves, and where to; or empty.
    pub(crate) moves: String,
    /// Redis's own time, in unix milliseconds.
    pub(crate) time: u64,
    /// The request was on its way for too long: nothing but the look was done.
    pub(crate) late: bool,
    /// As many replicas have it as must.
    pub(crate) replicated: bool,
}

/// A shard to be taken, as it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Take {
    pub(crate) shard: Shard,
    pub(crate) seen: String,
    pub(crate) record: String,
}

impl Link {
    pub(crate) fn new(
        uri: &SecretString,
        timeout: Duration,
        names: Names,
        replicas: u8,
    ) -> Result<Self, Error> {
        // The error's own text is left out: it may quote the URI.
        let client = Client::open(uri.expose_secret()).map_err(|_| Error::InvalidUri)?;
        let place = client.get_connection_info().addr().to_string();
        Ok(Self {
            client,
            place,
            timeout,
            names,
            replicas,
            connection: None,
            connections: 0,
            up_since: None,
        })
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Which connection this is; another number after a reconnect.
    pub(crate) fn generation(&self) -> u64 {
        self.connections
    }

    /// When Redis had started, at the latest; `None` when it cannot be told.
    pub(crate) fn up_since(&self) -> Option<BootTime> {
        self.up_since
    }

    pub(crate) async fn beat(&mut self, ask: &Ask) -> Result<Answer, RedisError> {
        let names = &self.names;
        let keys = [names.shards_key(), names.workers_key(), names.pins_key(), names.move_key()];
        let request = crate::record::json(ask);
        let (mut answers, replicated) =
            self.run(vec![script(BEAT, &keys, &[request.as_str()])]).await?;
        let answer = answers.pop().unwrap_or(Value::Nil);
        let (announced, moving, lost, shards, workers, pins, moves, time, late) = read(answer)?;
        Ok(Answer { announced, moving, lost, shards, workers, pins, moves, time, late, replicated })
    }

    /// Takes shards; which of them are this worker's now. None is, as long as the replicas do not
    /// have it.
    pub(crate) async fn take(&mut self, takes: &[Take]) -> Result<Vec<Shard>, RedisError> {
        let keys = [self.names.shards_key(), self.names.move_key()];
        let command = |take: &Take| {
            script(TAKE, &keys, &[take.shard.to_string().as_str(), &take.seen, &take.record])
        };
        let (answers, replicated) = self.run(takes.iter().map(command).collect()).await?;
        let mut taken = Vec::new();
        for (take, answer) in takes.iter().zip(answers) {
            if read::<bool>(answer)? && replicated {
                taken.push(take.shard);
            }
        }
        Ok(taken)
    }

    /// Pins a shard to a worker, or to none.
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

    /// Runs commands in one pipeline; their answers, and whether enough replicas have what they
    /// wrote. The connection is kept only if all went well.
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
            replicated = read::<u64>(answers.pop().unwrap_or(Value::Nil))? >= replicas;
        }
        Ok((answers, replicated))
    }

    async fn connect(&mut self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        self.connections += 1;
        self.up_since = uptime(&mut connection).await?;
        Ok(connection)
    }
}

/// The text travels with each call, once a second: there is nothing to load after a restart.
fn script(text: &str, keys: &[String], arguments: &[&str]) -> Cmd {
    cmd("EVAL").arg(text).arg(keys.len()).arg(keys).arg(arguments).take()
}

/// When the server had started; `None` if it does not let us know.
async fn uptime(connection: &mut MultiplexedConnection) -> Result<Option<BootTime>, RedisError> {
    let asked = BootTime::now();
    let info: Value = match cmd("INFO").arg("server").query_async(connection).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {
            return Ok(None);
        }
        info => info?,
    };
    let info: String = read(info)?;
    let seconds = info.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:"));
    let seconds = seconds.and_then(|seconds| seconds.trim().parse().ok());
    Ok(seconds.map(|seconds| BootTime(asked.0.saturating_sub(Duration::from_secs(seconds)))))
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, RedisError> {
    deadpool_redis::redis::from_redis_value(value).map_err(Into::into)
}
