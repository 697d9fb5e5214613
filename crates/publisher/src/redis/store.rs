//! The writer's side of Redis: one connection, one script, one pipeline per batch.

use contracts::{AccountId, EventId, Names};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value, cmd};
use settings::PublisherSettings;

use crate::redis::Server;
use crate::store::{Act, Block, Call, Outage, Store, Verdict};

const SCRIPT: &str = include_str!("log.lua");

/// Codes that speak of the server and not of one key: everything waits until they are gone.
const SERVER_WIDE: [&str; 12] = [
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
];

pub(crate) struct RedisStore {
    server: Server,
    settings: PublisherSettings,
    names: Names,
    link: Option<Link>,
}

struct Link {
    connection: MultiplexedConnection,
    /// SHA-1 of the script, as Redis told it.
    script: String,
}

impl RedisStore {
    pub(crate) fn new(server: Server, settings: PublisherSettings, names: Names) -> Self {
        Self { server, settings, names, link: None }
    }

    fn pipeline(&self, script: &str, calls: &[Call]) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(calls.len());
        for call in calls {
            pipeline.add_command(self.command(script, call));
        }
        pipeline
    }

    fn command(&self, script: &str, call: &Call) -> Cmd {
        let Call { account, epoch, known, ref act } = *call;
        let expiry =
            if known { self.settings.idle_expiry_s } else { self.settings.unknown_expiry_s };
        let (name, block) = match act {
            Act::Claim => ("claim", None),
            Act::Append(block) => ("append", Some(block)),
            Act::Restore(block) => ("restore", Some(block)),
        };
        let mut command = cmd("EVALSHA");
        command.arg(script).arg(3);
        for key in self.keys(account) {
            command.arg(key);
        }
        command.arg(name).arg(epoch.0).arg(expiry).arg(self.settings.max_events);
        if let Some(block) = block {
            add_block(&mut command, block);
        }
        command
    }

    fn keys(&self, account: AccountId) -> [String; 3] {
        let names = &self.names;
        [names.head_key(account), names.log_key(account), names.live_channel(account)]
    }

    async fn ask(&mut self, calls: &[Call]) -> Result<Vec<Value>, Outage> {
        let Some(mut link) = self.link.take() else {
            return Err(Outage::Refusing("not connected".to_owned()));
        };
        let mut pipeline = self.pipeline(&link.script, calls);
        let mut answers = link.connection.send_packed_commands(&pipeline, 0, calls.len()).await;
        if answers.as_ref().is_ok_and(|answers| answers.iter().any(is_no_script)) {
            // Somebody flushed the scripts. What did run answers `already` the second time.
            link.script = load(&mut link.connection).await.map_err(Outage::Answer)?;
            pipeline = self.pipeline(&link.script, calls);
            answers = link.connection.send_packed_commands(&pipeline, 0, calls.len()).await;
        }
        let answers = answers.map_err(Outage::Answer)?;
        self.link = Some(link);
        Ok(answers)
    }
}

impl Store for RedisStore {
    fn place(&self) -> &str {
        &self.server.place
    }

    async fn connect(&mut self) -> Result<(), Outage> {
        self.link = None;
        let mut connection = self.server.connect().await.map_err(Outage::Connect)?;
        let script = load(&mut connection).await.map_err(Outage::Answer)?;
        self.link = Some(Link { connection, script });
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Outage> {
        let Some(link) = &mut self.link else {
            return Err(Outage::Refusing("not connected".to_owned()));
        };
        cmd("PING").exec_async(&mut link.connection).await.map_err(Outage::Answer)
    }

    async fn run(&mut self, calls: &[Call]) -> Result<Vec<Verdict>, Outage> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.ask(calls).await?;
        answers.into_iter().map(verdict).collect()
    }
}

fn add_block(command: &mut Cmd, block: &Block) {
    command.arg(text(block.prev)).arg(format!("{:x}", block.digest));
    for event in &block.events {
        command.arg(event.id.to_string()).arg(&event.json[..]);
    }
}

fn text(id: Option<EventId>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

async fn load(connection: &mut MultiplexedConnection) -> Result<String, RedisError> {
    cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(connection).await
}

fn is_no_script(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

/// Reads what the script said.
fn verdict(answer: Value) -> Result<Verdict, Outage> {
    let words = match answer {
        Value::ServerError(error) if SERVER_WIDE.contains(&error.code()) => {
            return Err(Outage::Refusing(error.to_string()));
        }
        Value::ServerError(error) => return Ok(Verdict::Refused(error.to_string())),
        answer => deadpool_redis::redis::from_redis_value::<Vec<String>>(answer)
            .map_err(|error| Outage::Answer(error.into()))?,
    };
    let mut words = words.iter().map(String::as_str);
    let (kind, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    read_verdict(kind, value).ok_or_else(|| {
        Outage::Answer(RedisError::from((
            ErrorKind::UnexpectedReturnType,
            "not the script's answer",
        )))
    })
}

fn read_verdict(kind: &str, value: &str) -> Option<Verdict> {
    let last = || if value.is_empty() { Some(None) } else { value.parse().ok().map(Some) };
    Some(match kind {
        "claimed" => Verdict::Claimed { last: last()? },
        "stored" => Verdict::Stored { unheard: value.parse().ok()? },
        "already" => Verdict::Already,
        "fenced" => Verdict::Fenced { current: contracts::Epoch(value.parse().ok()?) },
        "gap" => Verdict::Gap { last: last()? },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use contracts::{AccountId, Epoch};
    use deadpool_redis::redis::Client;
    use futures_util::StreamExt;
    use servers::redis::RedisServer;

    use settings::SecretString;

    use super::*;
    use crate::stored::Stored;

    fn id(n: u64) -> EventId {
        EventId { epoch: Epoch(7), n }
    }

    fn call(act: Act) -> Call {
        Call { account: AccountId::new(1).unwrap(), epoch: Epoch(7), known: true, act }
    }

    /// Events `numbers` with `text` in them, after the one before them.
    fn block(numbers: std::ops::RangeInclusive<u64>, text: &str) -> Block {
        let before = |n: u64| (n > 1).then(|| id(n - 1));
        let event = |n: u64| Stored {
            account: AccountId::new(1).unwrap(),
            id: id(n),
            prev: before(n),
            json: Bytes::from(format!("{n} {text}")),
        };
        Block::new(before(*numbers.start()), numbers.map(event).collect())
    }

    async fn store(server: &RedisServer) -> RedisStore {
        let settings =
            PublisherSettings { uri: server.uri().into(), ..PublisherSettings::default() };
        let server = Server::new(&settings.uri, settings.timeout()).unwrap();
        let mut store = RedisStore::new(server, settings, Names::default());
        store.connect().await.unwrap();
        store
    }

    async fn run(store: &mut RedisStore, act: Act) -> Verdict {
        store.run(&[call(act)]).await.unwrap().remove(0)
    }

    #[tokio::test]
    async fn the_same_block_twice_is_stored_and_published_once() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        let client = Client::open(server.uri()).unwrap();
        let mut live = client.get_async_pubsub().await.unwrap();
        live.subscribe("tdfleet:{1}:live").await.unwrap();
        let again = || Act::Append(block(1..=2, "a"));
        assert_eq!(run(&mut store, again()).await, Verdict::Stored { unheard: 0 });
        assert_eq!(run(&mut store, again()).await, Verdict::Already);
        let other = Act::Append(block(1..=2, "b"));
        assert_eq!(run(&mut store, other).await, Verdict::Gap { last: Some(id(2)) });
        let next = Act::Append(block(3..=3, "c"));
        assert_eq!(run(&mut store, next).await, Verdict::Stored { unheard: 0 });
        assert_eq!(run(&mut store, again()).await, Verdict::Gap { last: Some(id(3)) });
        let live: Vec<String> =
            live.on_message().take(3).map(|message| message.get_payload().unwrap()).collect().await;
        assert_eq!(live, ["1 a", "2 a", "3 c"]);
    }

    #[tokio::test]
    async fn a_restore_stores_what_is_lacking_and_may_leave_a_gap() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        run(&mut store, Act::Append(block(1..=2, "a"))).await;
        let restore = || Act::Restore(block(2..=4, "a"));
        assert_eq!(run(&mut store, restore()).await, Verdict::Stored { unheard: 2 });
        assert_eq!(run(&mut store, restore()).await, Verdict::Stored { unheard: 0 });
        assert_eq!(run(&mut store, Act::Claim).await, Verdict::Claimed { last: Some(id(4)) });
        let far = Act::Restore(block(9..=9, "a"));
        assert_eq!(run(&mut store, far).await, Verdict::Stored { unheard: 1 });
        let nothing = Block::new(Some(id(20)), Vec::new());
        assert_eq!(run(&mut store, Act::Restore(nothing)).await, Verdict::Stored { unheard: 0 });
        assert_eq!(run(&mut store, Act::Claim).await, Verdict::Claimed { last: Some(id(20)) });
    }

    #[tokio::test]
    async fn a_head_that_was_evicted_is_read_off_the_log() {
        let server = RedisServer::start();
        let mut store = store(&server).await;
        run(&mut store, Act::Append(block(1..=2, "a"))).await;
        let client = Client::open(server.uri()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        cmd("DEL").arg("tdfleet:{1}:head").exec_async(&mut connection).await.unwrap();
        assert_eq!(run(&mut store, Act::Claim).await, Verdict::Claimed { last: Some(id(2)) });
    }

    #[test]
    fn a_password_never_shows() {
        let uri = SecretString::from("redis://user:hunter2@redis.example:7000/0");
        let server = Server::new(&uri, std::time::Duration::from_secs(1)).unwrap();
        assert_eq!(server.place, "redis.example:7000");
        let error = Server::new(&"redis://user:hunter2@:x".into(), server.timeout).err().unwrap();
        assert!(!runtime::chain(&error).contains("hunter2"));
    }
}
