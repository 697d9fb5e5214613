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

    /// One beat; an error as well when too few replicas have it.
    pub(crate) async fn beat(&mut self, ask: &Ask) -> Result<Answer, RedisError> {
        let names = &self.names;
        let keys = [names.shards_key(), names.workers_key(), names.pins_key(), names.move_key()];
        let request = crate::record::json(ask);
        let (mut answers, replicated) =
            self.run(vec![script(BEAT, &keys, &[request.as_str()])]).await?;
        if !replicated {
            return Err(std::io::Error::other("too few replicas").into());
        }
        let answer = answers.pop().unwrap_or(Value::Nil);
        let (announced, moving, lost, shards, workers, pins, moves, time, late) = read(answer)?;
        Ok(Answer { announced, moving, lost, shards, workers, pins, moves, time, late })
    }

    /// Takes shards; which of them are this worker's now. None is, as long as the replicas do not
    /// have it.
    pub(crate) async fn take(&mut self, takes: &[Take]) -> Result<Vec<Shard>, RedisError> {
        let keys = [self.names.shards_key(), self.names.move_key()];
        let command = |take: &Take| {
            script(TAKE, &keys, &[take.shard.to_string().as_str(), &take.seen, &take.record])
        };
        let (answers, replicated) = self.run(takes.iter().map(command).collect()).await?;
        let mut own = Vec::new();
        for (take, answer) in takes.iter().zip(answers) {
            if read::<bool>(answer)? && replicated {
                own.push(take.shard);
            }
        }
        Ok(own)
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    use test_servers::redis::RedisServer;

    use super::*;
    use crate::record::{Record, json};
    use crate::rules::may_renew;

    fn any_record() -> impl Strategy<Value = Option<Record>> {
        let owner = prop_oneof![Just(""), Just("me/1"), Just("me/2"), Just("you/1")];
        let record = (1..5_u64, owner, 0..3_u64).prop_map(|(epoch, owner, beat)| Record {
            epoch,
            owner: owner.to_owned(),
            beat,
            ..Record::default()
        });
        prop::option::of(record)
    }

    #[test]
    fn the_script_renews_what_the_rule_lets_it() {
        let server = RedisServer::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let names = Names::default();
        let timeout = Duration::from_secs(5);
        let link = Link::new(&server.uri().into(), timeout, names.clone(), 0).unwrap();
        let other = Client::open(server.uri()).unwrap().get_connection().unwrap();
        let (link, other) = (RefCell::new(link), RefCell::new(other));
        let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
        let any = (any_record(), 1..5_u64, any::<bool>());
        let checked = runner.run(&any, |(known, epoch, free)| {
            let mut other = other.borrow_mut();
            cmd("DEL").arg(names.shards_key()).exec(&mut *other).unwrap();
            if let Some(known) = &known {
                let text = json(known);
                cmd("HSET")
                    .arg(names.shards_key())
                    .arg("s000")
                    .arg(text)
                    .exec(&mut *other)
                    .unwrap();
            }
            let owner = if free { String::new() } else { "me/1".to_owned() };
            let record = Record { epoch, owner, beat: 9, ..Record::default() };
            let write = Write {
                shard: "s000".to_owned(),
                owner: "me/1".to_owned(),
                epoch,
                record: json(&record),
            };
            let mut ask = Ask::default();
            if free { &mut ask.free } else { &mut ask.renew }.push(write);
            let answer = runtime.block_on(link.borrow_mut().beat(&ask)).unwrap();
            let now = answer.shards.get("s000").map(|text| serde_json::from_str(text).unwrap());
            let own = |known: &Record| known.epoch == epoch && known.owner == "me/1";
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
    fn a_request_that_comes_too_late_only_reads() {
        let server = RedisServer::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let timeout = Duration::from_secs(5);
        let mut link = Link::new(&server.uri().into(), timeout, Names::default(), 0).unwrap();
        let mut ask = Ask { name: "me".to_owned(), record: "{}".to_owned(), ..Ask::default() };
        ask.by = 1;
        let late = runtime.block_on(link.beat(&ask)).unwrap();
        assert!(late.late && !late.announced && late.workers.is_empty());
        ask.by = late.time + 10_000;
        let answer = runtime.block_on(link.beat(&ask)).unwrap();
        assert!(!answer.late && answer.announced && answer.workers.len() == 1);
    }

    #[test]
    fn a_password_never_shows() {
        let timeout = Duration::from_secs(1);
        let uri = SecretString::from("redis://user:hunter2@redis.example:7000/0");
        let link = Link::new(&uri, timeout, Names::default(), 0).unwrap();
        assert_eq!(link.place(), "redis.example:7000");
        let error = Link::new(&"redis://user:hunter2@:x".into(), timeout, Names::default(), 0)
            .err()
            .unwrap();
        assert!(!runtime::error_chain(&error).contains("hunter2"));
    }
}
