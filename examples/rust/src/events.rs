//! Events come in by Redis.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use redis::aio::PubSub;
use serde_json::Value;
use tokio::time::sleep;

/// Before the first event of every account.
pub const BEGINNING: &str = "0-0";
/// Events read from a log at once.
const CHUNK: usize = 100;

/// An entry of a stream: its id, its fields.
type Entry = (String, Vec<(Vec<u8>, Vec<u8>)>);

/// Reads and follows accounts' events.
#[derive(Debug)]
pub struct Events {
    redis: redis::Client,
}

impl Events {
    /// Connects later, when something is to be read.
    pub fn new(uri: &str) -> Result<Self> {
        Ok(Self { redis: redis::Client::open(uri)? })
    }

    /// The id of the newest event; [`BEGINNING`] if there is none.
    pub async fn newest(&self, account: u64) -> Result<String> {
        let mut redis = self.redis.get_multiplexed_async_connection().await?;
        let mut read = redis::cmd("XREVRANGE");
        read.arg(log(account)).arg("+").arg("-").arg("COUNT").arg(1);
        let newest: Vec<Entry> = read.query_async(&mut redis).await?;
        Ok(newest.into_iter().next().map_or_else(|| BEGINNING.to_owned(), |(id, _)| id))
    }

    /// Follows an account's events that come after an id.
    pub fn follow(&self, account: u64, after: String) -> Follower {
        let redis = self.redis.clone();
        Follower { redis, account, last: after, live: None, behind: true, ready: VecDeque::new() }
    }
}

/// An account's events after some id.
pub struct Follower {
    redis: redis::Client,
    account: u64,
    last: String,
    live: Option<PubSub>,
    /// The log is to be read.
    behind: bool,
    ready: VecDeque<(Value, bool)>,
}

impl Follower {
    /// The next event, each once and in order; and whether events before it are gone from the log
    /// (trimmed, or lost by Redis). While Redis is down it waits.
    pub async fn next(&mut self) -> (Value, bool) {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return ready;
            }
            if let Err(error) = self.advance().await {
                warn(&error);
                self.live = None;
                sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Takes the next step: to subscribe, to read the log, or to hear a live event.
    async fn advance(&mut self) -> Result<()> {
        let Some(live) = &mut self.live else {
            let mut live = self.redis.get_async_pubsub().await?;
            live.subscribe(format!("tdfleet:{{{}}}:live", self.account)).await?;
            self.live = Some(live);
            // What came before this moment was not heard, and is in the log.
            self.behind = true;
            return Ok(());
        };
        if self.behind {
            return self.read().await;
        }
        let message = live.on_message().next().await.context("the subscription ended")?;
        let event: Value = serde_json::from_slice(message.get_payload_bytes())?;
        if order(id(&event)) > order(&self.last) {
            if is_next(&event, &self.last) {
                self.take(event);
            } else {
                self.behind = true;
            }
        }
        Ok(())
    }

    /// Reads the next events, and passes over entries that are not an event with their own id.
    async fn read(&mut self) -> Result<()> {
        let mut redis = self.redis.get_multiplexed_async_connection().await?;
        let mut after = self.last.clone();
        while self.behind && self.ready.is_empty() {
            let mut read = redis::cmd("XRANGE");
            read.arg(log(self.account)).arg(format!("({after}")).arg("+");
            let entries: Vec<Entry> = read.arg("COUNT").arg(CHUNK).query_async(&mut redis).await?;
            self.behind = entries.len() == CHUNK;
            for (entry, fields) in entries {
                for (_, event) in fields {
                    if let Ok(event) = serde_json::from_slice::<Value>(&event)
                        && id(&event) == entry
                    {
                        self.take(event);
                    }
                }
                after = entry;
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Value) {
        let gap = self.last != BEGINNING && !is_next(&event, &self.last);
        id(&event).clone_into(&mut self.last);
        self.ready.push_back((event, gap));
    }
}

fn log(account: u64) -> String {
    format!("tdfleet:{{{account}}}:log")
}

fn id(event: &Value) -> &str {
    event["payload"]["_meta"]["event_id"].as_str().unwrap_or(BEGINNING)
}

/// Whether nothing is missing between the event with the id `last` and this one.
fn is_next(event: &Value, last: &str) -> bool {
    let prev = event["payload"]["_meta"]["prev"].as_str();
    prev.map_or(last == BEGINNING, |prev| order(prev) <= order(last))
}

/// Event ids are compared as two numbers.
fn order(id: &str) -> Option<(u64, u64)> {
    let (epoch, n) = id.split_once('-')?;
    Some((epoch.parse().ok()?, n.parse().ok()?))
}

#[expect(clippy::print_stderr, reason = "an example without a log")]
fn warn(error: &anyhow::Error) {
    eprintln!("Redis is lost, trying again: {error:#}");
}
