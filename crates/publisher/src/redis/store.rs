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
