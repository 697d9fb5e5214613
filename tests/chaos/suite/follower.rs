//! Follows all events, live and from the log, and remembers every one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisResult};
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};

use super::evidence::{Event, Id, Ms, SeenEvent, now};

/// How often the log is read, in addition to the live channel.
const SWEEP: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);

/// An entry of a stream: its id, and its fields with their values.
type Entry = (String, Vec<(String, Vec<u8>)>);

/// When an answer arrived, and its error.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) at: Ms,
    /// `error_info.code` of a failure.
    pub(crate) code: Option<String>,
}

/// Remembers every event of the accounts 1 to `accounts`.
pub(crate) struct Follower {
    client: redis::Client,
    accounts: u32,
    seen: Mutex<BTreeMap<u32, BTreeMap<Id, SeenEvent>>>,
    /// The last entry read of each log; the live channel may miss some.
    read: Mutex<HashMap<u32, Id>>,
    answers: Mutex<HashMap<String, Answer>>,
}

impl Follower {
    pub(crate) fn new(uri: &str, accounts: u32) -> Self {
        let client = redis::Client::open(uri).unwrap();
        let (seen, read, answers) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { client, accounts, seen, read, answers }
    }

    /// Listens to the live channels until the future is dropped.
    pub(crate) async fn listen(&self) {
        loop {
            if let Ok(mut live) = self.client.get_async_pubsub().await
                && live.psubscribe("tdfleet:*:live").await.is_ok()
            {
                let mut messages = live.on_message();
                while let Some(message) = messages.next().await {
                    let account = account_of(message.get_channel_name());
                    if let Some(account) = account {
                        self.record(account, message.get_payload_bytes(), true);
                    }
                }
            }
            sleep(RETRY).await;
        }
    }

    /// Keeps reading the logs, until the future is dropped.
    pub(crate) async fn sweep(&self) {
        loop {
            sleep(SWEEP).await;
            timeout(PATIENCE, self.catch_up()).await.ok();
        }
    }

    /// Reads what the logs have, from where they were read last.
    pub(crate) async fn catch_up(&self) -> RedisResult<()> {
        let mut redis = self.client.get_multiplexed_async_connection().await?;
        for account in 1..=self.accounts {
            let last = lock(&self.read).get(&account).copied();
            let from = last.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
            for (id, json) in range(&mut redis, account, &from).await? {
                self.record(account, &json, false);
                lock(&self.read).insert(account, id);
            }
        }
        Ok(())
    }

    /// The whole log of an account, oldest first.
    pub(crate) async fn log(&self, account: u32) -> RedisResult<Vec<Event>> {
        let mut redis = self.client.get_multiplexed_async_connection().await?;
        let log = range(&mut redis, account, "-").await?;
        Ok(log.iter().filter_map(|(_, json)| Event::read(json)).collect())
    }

    /// All events of an account, seen so far.
    pub(crate) fn seen(&self, account: u32) -> BTreeMap<Id, SeenEvent> {
        lock(&self.seen).get(&account).cloned().unwrap_or_default()
    }

    /// Whether an event of this type has been seen since then.
    pub(crate) fn has_seen(&self, account: u32, kind: &str, since: Ms) -> bool {
        let seen = lock(&self.seen);
        let matches = |seen: &SeenEvent| since <= seen.at && seen.event.kind == kind;
        seen.get(&account).is_some_and(|seen| seen.values().any(matches))
    }

    /// The answer to a command, if it has arrived.
    pub(crate) fn answer(&self, command: &str) -> Option<Answer> {
        lock(&self.answers).get(command).cloned()
    }

    /// Waits for the answer to a command.
    pub(crate) async fn wait_for(&self, command: &str) -> Answer {
        loop {
            if let Some(answer) = self.answer(command) {
                return answer;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn record(&self, account: u32, json: &[u8], live: bool) {
        let at = now();
        let Some(event) = Event::read(json) else { return };
        if let Some(command) = &event.command {
            let answer = Answer { at, code: event.code.clone() };
            lock(&self.answers).entry(command.clone()).or_insert(answer);
        }
        let mut seen = lock(&self.seen);
        let known = seen.entry(account).or_default();
        known.entry(event.id).or_insert(SeenEvent { event, at, live });
    }
}

/// The account of `tdfleet:{1}:live`.
fn account_of(channel: &str) -> Option<u32> {
    channel.split_once('{')?.1.split_once('}')?.0.parse().ok()
}

async fn range(
    redis: &mut MultiplexedConnection,
    account: u32,
    from: &str,
) -> RedisResult<Vec<(Id, Vec<u8>)>> {
    let mut range = redis::cmd("XRANGE");
    range.arg(format!("tdfleet:{{{account}}}:log")).arg(from).arg("+");
    let entries: Vec<Entry> = range.query_async(redis).await?;
    let event = |(id, fields): Entry| Some((Id::read(&id)?, fields.into_iter().next()?.1));
    Ok(entries.into_iter().filter_map(event).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
