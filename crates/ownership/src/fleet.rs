//! The operator's view: who owns what, and pins.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::{Epoch, Names, Shard};
use deadpool_redis::redis::RedisError;
use settings::SecretString;
use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::record::{Record, WorkerRecord};
use crate::redis::{Answer, Ask, Link};

/// A worker beats about every second, at least; one that does not for so long does not live.
const WATCHED: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(300);

/// A look at Redis from outside the fleet; it owns nothing.
pub struct Fleet {
    link: Link,
}

/// All that the fleet's records say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Every shard that has a record or a pin, in order.
    pub shards: Vec<ShardView>,
    /// Every worker that has a record, by name.
    pub workers: Vec<WorkerView>,
    /// The shard that is being moved, and the worker it moves to.
    pub moving: Option<(Shard, String)>,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardView {
    /// Which one.
    pub shard: Shard,
    /// Of its owner, or of the last one.
    pub epoch: Epoch,
    /// The owner's name; `None` while it is free.
    pub owner: Option<String>,
    /// Whether the very process that owns it lives; `false` while it is free.
    pub live: bool,
    /// Id of the store with its databases; `None` when they may be on any.
    pub store: Option<String>,
    /// It is free, and was closed in good order.
    pub clean: bool,
    /// The worker that the operator wants it on.
    pub pin: Option<String>,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// Id of its store.
    pub store: String,
    /// It gave a sign of life while this view was made.
    pub live: bool,
    /// It reaches RabbitMQ.
    pub bus: bool,
    /// It takes no more shards.
    pub leaving: bool,
    /// Accounts it runs.
    pub accounts: usize,
    /// Shards it owns.
    pub shards: usize,
}

impl Fleet {
    /// A view over the Redis at `uri`; connects at the first question.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUri`].
    pub fn new(uri: &SecretString, timeout: Duration, names: Names) -> Result<Self, Error> {
        Link::new(uri, timeout, names, 0).map(|link| Self { link })
    }

    /// Reads everything, and watches the workers until each has given a sign of life, three seconds
    /// at most.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    pub async fn view(&mut self) -> Result<View, Error> {
        let deadline = Instant::now() + WATCHED;
        let first = workers(&self.look().await?);
        loop {
            let answer = self.look().await?;
            let now = workers(&answer);
            let lives = |name: &String, worker: &WorkerRecord| {
                first.get(name).is_none_or(|known| known != worker)
            };
            let live: BTreeMap<String, bool> =
                now.iter().map(|(name, worker)| (name.clone(), lives(name, worker))).collect();
            if Instant::now() >= deadline || live.values().all(|&live| live) {
                return Ok(view(&answer, now, &live));
            }
            sleep(LOOK).await;
        }
    }

    /// Pins a shard to a worker, which then gets it as soon as it can have it, or to none.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn pin(&mut self, shard: Shard, worker: Option<&str>) -> Result<(), Error> {
        self.link.pin(shard, worker).await.map_err(Error::Redis)
    }

    async fn look(&mut self) -> Result<Answer, Error> {
        let answer: Result<Answer, RedisError> = self.link.beat(&Ask::default()).await;
        answer.map_err(Error::Redis)
    }
}

fn workers(answer: &Answer) -> BTreeMap<String, WorkerRecord> {
    let read = |(name, text): (&String, &String)| {
        serde_json::from_str(text).ok().map(|worker| (name.clone(), worker))
    };
    answer.workers.iter().filter_map(read).collect()
}

fn view(
    answer: &Answer,
    workers: BTreeMap<String, WorkerRecord>,
    live: &BTreeMap<String, bool>,
) -> View {
    let lives = |name: &str| live.get(name).copied().unwrap_or(false);
    let owner_lives = |owner: &str| {
        owner.split_once('/').is_some_and(|(name, incarnation)| {
            lives(name) && workers.get(name).is_some_and(|known| known.incarnation == incarnation)
        })
    };
    let mut records = BTreeMap::<Shard, (Record, Option<String>)>::new();
    for (shard, text) in &answer.shards {
        let Ok(shard) = shard.parse() else { continue };
        records.entry(shard).or_default().0 = serde_json::from_str(text).unwrap_or_default();
    }
    for (shard, pin) in &answer.pins {
        let Ok(shard) = shard.parse() else { continue };
        records.entry(shard).or_default().1 = Some(pin.clone());
    }
    let shard = |(shard, (record, pin)): (Shard, (Record, Option<String>))| ShardView {
        shard,
        epoch: Epoch(record.epoch),
        live: owner_lives(&record.owner),
        owner: (!record.is_free()).then(|| record.owner_name().to_owned()),
        clean: record.is_free() && record.clean,
        store: Some(record.store).filter(|store| !store.is_empty()),
        pin,
    };
    let shards = records.into_iter().map(shard).collect();
    let worker = |(name, worker): (String, WorkerRecord)| WorkerView {
        live: lives(&name),
        name,
        store: worker.store,
        bus: worker.bus,
        leaving: worker.leaving,
        accounts: worker.load,
        shards: worker.shards,
    };
    let moving = answer
        .moves
        .split_once(' ')
        .and_then(|(shard, to)| shard.parse().ok().map(|shard| (shard, to.to_owned())));
    View { shards, workers: workers.into_iter().map(worker).collect(), moving }
}
