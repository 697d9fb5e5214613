//! Logs in this process's memory, by the very rules of the scripts: for one machine without servers.

mod account;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use contracts::{AccountId, EventId};
use settings::PublisherSettings;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::store::{Call, Outage, Store, Verdict};
use crate::stored::Stored;
use account::{Account, Keep};

/// Live events a slow follower may lag behind before it is sent to the log.
const LIVE_BUFFER: usize = 4096;
/// How often what has expired is looked for.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

pub(crate) struct Memory {
    accounts: Mutex<HashMap<AccountId, Account>>,
    live: broadcast::Sender<Stored>,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        let (live, _) = broadcast::channel(LIVE_BUFFER);
        Arc::new(Self { accounts: Mutex::default(), live })
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<AccountId, Account>> {
        runtime::lock(&self.accounts)
    }

    pub(crate) fn read(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> Vec<Stored> {
        let accounts = self.accounts();
        let Some(account) = accounts.get(&account) else { return Vec::new() };
        let from = account.events.partition_point(|(event, _)| Some(event.id) <= after);
        account.events.range(from..).take(limit).map(|(event, _)| event.clone()).collect()
    }

    pub(crate) fn newest(&self, account: AccountId) -> Option<EventId> {
        self.accounts().get(&account).and_then(|account| account.last)
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

    fn carry_out(&self, accounts: &mut HashMap<AccountId, Account>, call: &Call) -> Verdict {
        let settings = &self.settings;
        let expiry = if call.served { settings.idle_expiry_s } else { settings.unknown_expiry_s };
        let log_expiry = expiry.min(settings.max_age_s);
        let [account, log] = [expiry, log_expiry].map(Duration::from_secs);
        let keep = Keep { account, log };
        let account = accounts.entry(call.account).or_insert_with(|| Account::new(call.epoch));
        let publish = |event: &Stored| self.memory.live.send(event.clone()).is_ok();
        let verdict = account.carry_out(call, &keep, publish);
        let max = usize::try_from(self.settings.max_events).unwrap_or(usize::MAX);
        let surplus = account.events.len().saturating_sub(max);
        account.events.drain(..surplus);
        verdict
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
        let mut accounts = memory.accounts();
        if SWEEP_EVERY < self.swept.elapsed() {
            self.swept = Instant::now();
            accounts.retain(|_, account| account.sweep(self.swept));
        }
        Ok(calls.iter().map(|call| self.carry_out(&mut accounts, call)).collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use contracts::{CommandId, Epoch};
    use log_port::{Admission, CommandFingerprint, Intent};

    use super::*;
    use crate::store::{Act, Asked, Block, Entry, Token};

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
            let entry = Entry { event, at: 0, completion: None };
            let act = Act::Append(Block::new(vec![entry]));
            Call { account, epoch: Epoch(7), served: account == known, last: None, act }
        };
        store.run(&[append(known), append(unknown)]).await.unwrap();
        assert_eq!((memory.newest(known), memory.newest(unknown)), (Some(id), Some(id)));
        tokio::time::advance(wait).await;
        store.run(&[]).await.unwrap();
        assert_eq!((memory.newest(known), memory.newest(unknown)), (Some(id), None));
    }

    #[tokio::test]
    async fn a_call_that_is_said_twice_counts_once_and_a_newer_epoch_ends_it() {
        let mut store = MemoryStore::new(Memory::new(), PublisherSettings::default());
        let begin = Admission {
            command: CommandId::random(),
            fingerprint: CommandFingerprint(1),
            intent: Intent::Run { idempotent: false },
        };
        let asked = Asked { begin, token: Token::random() };
        let begin = |epoch, asked: &Asked| Call {
            account: AccountId::new(1).unwrap(),
            epoch: Epoch(epoch),
            served: true,
            last: None,
            act: Act::Admit(vec![asked.clone()]),
        };
        let other = Asked { token: Token::random(), ..asked.clone() };
        let calls = [begin(7, &asked), begin(7, &asked), begin(8, &other), begin(7, &asked)];
        let verdicts = store.run(&calls).await.unwrap();
        let expected =
            "[Begun([Go]), Begun([Go]), Begun([HandedOver]), Fenced { current: Epoch(8) }]";
        assert_eq!(format!("{verdicts:?}"), expected);
    }
}
