//! Logs in this process's memory, by the rules of the Redis scripts: for one machine without servers.

mod account;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contracts::{AccountId, EventId};
use settings::PublisherSettings;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::store::{LogStore, StoreError, StoreRequest, StoreResponse};
use crate::stored::StoredEvent;
use account::{KeyExpiry, MemoryAccount};

/// Live events that a slow follower may lag behind before it reads the log instead.
const LIVE_BUFFER: usize = 4096;
/// How often expired entries are removed.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

pub(crate) struct MemoryLogs {
    accounts: Mutex<HashMap<AccountId, MemoryAccount>>,
    live: broadcast::Sender<StoredEvent>,
}

impl MemoryLogs {
    pub(crate) fn new() -> Arc<Self> {
        let (live, _) = broadcast::channel(LIVE_BUFFER);
        Arc::new(Self { accounts: Mutex::default(), live })
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<AccountId, MemoryAccount>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> Vec<StoredEvent> {
        let accounts = self.accounts();
        let Some(account) = accounts.get(&account) else { return Vec::new() };
        let from = account.events.partition_point(|(event, _)| Some(event.id) <= after);
        account.events.range(from..).take(limit).map(|(event, _)| event.clone()).collect()
    }

    pub(crate) fn newest(&self, account: AccountId) -> Option<EventId> {
        self.accounts().get(&account).and_then(|account| account.last)
    }

    pub(crate) fn subscribe(&self) -> MemorySubscription {
        MemorySubscription(self.live.subscribe())
    }
}

pub(crate) struct MemorySubscription(broadcast::Receiver<StoredEvent>);

impl MemorySubscription {
    /// The next event; `None` when this follower was too slow for the buffer.
    pub(crate) async fn next(&mut self) -> Option<StoredEvent> {
        self.0.recv().await.ok()
    }
}

/// Writes [`MemoryLogs`].
pub(crate) struct MemoryStore {
    memory: Arc<MemoryLogs>,
    settings: PublisherSettings,
    swept: Instant,
}

impl MemoryStore {
    pub(crate) fn new(memory: Arc<MemoryLogs>, settings: PublisherSettings) -> Self {
        Self { memory, settings, swept: Instant::now() }
    }

    fn apply(
        &self,
        accounts: &mut HashMap<AccountId, MemoryAccount>,
        request: &StoreRequest,
    ) -> StoreResponse {
        let settings = &self.settings;
        let expiry =
            if request.served { settings.idle_expiry_s } else { settings.unknown_expiry_s };
        let log_expiry = expiry.min(settings.max_age_s);
        let [account, log] = [expiry, log_expiry].map(Duration::from_secs);
        let expiry = KeyExpiry { account, log };
        let new = || MemoryAccount::new(request.epoch);
        let account = accounts.entry(request.account).or_insert_with(new);
        let publish = |event: &StoredEvent| self.memory.live.send(event.clone()).is_ok();
        let response = account.apply(request, &expiry, publish);
        let max = usize::try_from(self.settings.max_events).unwrap_or(usize::MAX);
        let surplus = account.events.len().saturating_sub(max);
        account.events.drain(..surplus);
        response
    }
}

impl LogStore for MemoryStore {
    fn endpoint(&self) -> &'static str {
        "this process"
    }

    async fn connect(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn execute(
        &mut self,
        requests: &[StoreRequest],
    ) -> Result<Vec<StoreResponse>, StoreError> {
        let memory = Arc::clone(&self.memory);
        let mut accounts = memory.accounts();
        if SWEEP_EVERY < self.swept.elapsed() {
            self.swept = Instant::now();
            accounts.retain(|_, account| account.sweep(self.swept));
        }
        Ok(requests.iter().map(|request| self.apply(&mut accounts, request)).collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use contracts::{CommandId, Epoch, LedgerKey};
    use log_port::{Admission, CommandFingerprint, Intent};

    use super::*;
    use crate::store::{AdmissionRequest, DispatchToken, EventBatch, EventEntry, StoreOperation};

    #[tokio::test(start_paused = true)]
    async fn logs_of_accounts_without_a_worker_expire_first() {
        let memory = MemoryLogs::new();
        let settings = PublisherSettings::default();
        let wait = Duration::from_secs(settings.unknown_expiry_s + 1);
        let mut store = MemoryStore::new(Arc::clone(&memory), settings);
        let [served, unserved] = [1, 2].map(|id| AccountId::new(id).unwrap());
        let id = EventId::first(Epoch(7));
        let append = |account| {
            let event = StoredEvent { account, id, prev: None, json: Bytes::new() };
            let entry = EventEntry { event, at: 0, completion: None, audit: None };
            let operation = StoreOperation::Append(EventBatch::new(vec![entry]));
            StoreRequest {
                account,
                epoch: Epoch(7),
                served: account == served,
                last: None,
                operation,
            }
        };
        store.execute(&[append(served), append(unserved)]).await.unwrap();
        assert_eq!((memory.newest(served), memory.newest(unserved)), (Some(id), Some(id)));
        tokio::time::advance(wait).await;
        store.execute(&[]).await.unwrap();
        assert_eq!((memory.newest(served), memory.newest(unserved)), (Some(id), None));
    }

    #[tokio::test]
    async fn a_repeated_request_counts_once_and_a_newer_epoch_fences_it() {
        let mut store = MemoryStore::new(MemoryLogs::new(), PublisherSettings::default());
        let admission = Admission {
            command: LedgerKey { caller: None, command: CommandId::random() },
            fingerprint: CommandFingerprint(1),
            intent: Intent::Run { idempotent: false },
        };
        let first = AdmissionRequest { admission, token: DispatchToken::random() };
        let admit = |epoch, request: &AdmissionRequest| StoreRequest {
            account: AccountId::new(1).unwrap(),
            epoch: Epoch(epoch),
            served: true,
            last: None,
            operation: StoreOperation::Admit(vec![request.clone()]),
        };
        let other = AdmissionRequest { token: DispatchToken::random(), ..first.clone() };
        let requests = [admit(7, &first), admit(7, &first), admit(8, &other), admit(7, &first)];
        let responses = store.execute(&requests).await.unwrap();
        let expected = "[Admitted([Proceed]), Admitted([Proceed]), Admitted([Dispatched]), \
            Fenced { current: Epoch(8) }]";
        assert_eq!(format!("{responses:?}"), expected);
    }
}
