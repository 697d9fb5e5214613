//! Logs in this process's memory, by the very rules of the script: for one machine without servers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contracts::{AccountId, Epoch, EventId};
use settings::PublisherSettings;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::store::{Act, Block, Call, Outage, Store, Verdict};
use crate::stored::Stored;

/// Live events a slow follower may lag behind before it is sent to the log.
const LIVE_BUFFER: usize = 4096;
/// How often expired logs are looked for.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

pub(crate) struct Memory {
    logs: Mutex<HashMap<AccountId, Log>>,
    live: broadcast::Sender<Stored>,
}

/// Head and log of one account.
struct Log {
    epoch: Epoch,
    last: Option<EventId>,
    digest: u64,
    events: VecDeque<Stored>,
    expires: Instant,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        let (live, _) = broadcast::channel(LIVE_BUFFER);
        Arc::new(Self { logs: Mutex::default(), live })
    }

    fn logs(&self) -> MutexGuard<'_, HashMap<AccountId, Log>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> Vec<Stored> {
        let logs = self.logs();
        let Some(log) = logs.get(&account) else { return Vec::new() };
        let from = log.events.partition_point(|event| Some(event.id) <= after);
        log.events.range(from..).take(limit).cloned().collect()
    }

    pub(crate) fn newest(&self, account: AccountId) -> Option<EventId> {
        self.logs().get(&account).and_then(|log| log.last)
    }

    pub(crate) fn subscribe(&self) -> MemoryLive {
        MemoryLive(self.live.subscribe())
    }
}

pub(crate) struct MemoryLive(broadcast::Receiver<Stored>);

impl MemoryLive {
    /// The next event; `None` when this follower was too slow for the buffer.
    pub(crate) async fn next(&mut self) -> Option<Stored> {
        self.0.recv().await.ok()
    }
}

/// The writer's side of it.
pub(crate) struct MemoryStore {
    memory: Arc<Memory>,
    settings: PublisherSettings,
    swept: Instant,
}

impl MemoryStore {
    pub(crate) fn new(memory: Arc<Memory>, settings: PublisherSettings) -> Self {
        Self { memory, settings, swept: Instant::now() }
    }

    fn carry_out(&self, logs: &mut HashMap<AccountId, Log>, call: &Call) -> Verdict {
        let settings = &self.settings;
        let expiry_s = if call.known { settings.idle_expiry_s } else { settings.unknown_expiry_s };
        let expires = Instant::now() + Duration::from_secs(expiry_s);
        let log = logs.entry(call.account).or_insert_with(|| Log {
            epoch: call.epoch,
            last: None,
            digest: 0,
            events: VecDeque::new(),
            expires,
        });
        if log.epoch > call.epoch {
            return Verdict::Fenced { current: log.epoch };
        }
        let verdict = match &call.act {
            Act::Claim => Verdict::Claimed { last: log.last },
            Act::Append(block) if log.last != block.prev => return log.mismatch(block),
            Act::Append(block) => self.store(log, block),
            Act::Restore(block) => {
                log.last = log.last.max(block.prev);
                self.store(log, block)
            }
        };
        log.epoch = call.epoch;
        log.expires = log.expires.max(expires);
        verdict
    }

    fn store(&self, log: &mut Log, block: &Block) -> Verdict {
        let mut unheard = 0;
        for event in &block.events {
            if Some(event.id) <= log.last {
                continue;
            }
            log.events.push_back(event.clone());
            log.last = Some(event.id);
            if self.memory.live.send(event.clone()).is_err() {
                unheard += 1;
            }
        }
        let max = usize::try_from(self.settings.max_events).unwrap_or(usize::MAX);
        let surplus = log.events.len().saturating_sub(max);
        log.events.drain(..surplus);
        log.digest = block.digest;
        Verdict::Stored { unheard }
    }
}

impl Log {
    fn mismatch(&self, block: &Block) -> Verdict {
        let same_end = block.events.last().map(|event| event.id) == self.last;
        if same_end && self.digest == block.digest {
            Verdict::Already
        } else {
            Verdict::Gap { last: self.last }
        }
    }
}

impl Store for MemoryStore {
    fn place(&self) -> &'static str {
        "this process"
    }

    async fn connect(&mut self) -> Result<(), Outage> {
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Outage> {
        Ok(())
    }

    async fn run(&mut self, calls: &[Call]) -> Result<Vec<Verdict>, Outage> {
        let memory = Arc::clone(&self.memory);
        let mut logs = memory.logs();
        if SWEEP_EVERY < self.swept.elapsed() {
            self.swept = Instant::now();
            logs.retain(|_, log| self.swept < log.expires);
        }
        Ok(calls.iter().map(|call| self.carry_out(&mut logs, call)).collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn logs_of_accounts_that_nobody_runs_expire_first() {
        let memory = Memory::new();
        let settings = PublisherSettings::default();
        let wait = Duration::from_secs(settings.unknown_expiry_s + 1);
        let mut store = MemoryStore::new(Arc::clone(&memory), settings);
        let [known, unknown] = [1, 2].map(|id| AccountId::new(id).unwrap());
        let id = EventId::first(Epoch(7));
        let append = |account| {
            let event = Stored { account, id, prev: None, json: Bytes::new() };
            let act = Act::Append(Block::new(None, vec![event]));
            Call { account, epoch: Epoch(7), known: account == known, act }
        };
        store.run(&[append(known), append(unknown)]).await.unwrap();
        assert_eq!((memory.newest(known), memory.newest(unknown)), (Some(id), Some(id)));
        tokio::time::advance(wait).await;
        store.run(&[]).await.unwrap();
        assert_eq!((memory.newest(known), memory.newest(unknown)), (Some(id), None));
    }
}
