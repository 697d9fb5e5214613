use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use contracts::{AccountId, Epoch, Event, EventId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use owner_worker::{EventSink, NotStored, OnStored};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;

/// An event log in memory.
pub(crate) struct MemoryLog {
    up: watch::Sender<bool>,
    length: watch::Sender<usize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: Vec<Value>,
    last: HashMap<AccountId, EventId>,
    fenced: bool,
}

impl MemoryLog {
    pub(crate) fn new() -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { up: watch::Sender::new(true), length: watch::Sender::new(0), state })
    }

    /// Lets the log be away, or back.
    pub(crate) fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }

    /// From now on a newer owner has every account.
    pub(crate) fn fence(&self) {
        self.lock().fenced = true;
    }

    /// The payloads of an account's events, in order.
    pub(crate) fn events(&self, account: i64) -> Vec<Value> {
        let state = self.lock();
        let payloads = state.events.iter().map(|event| &event["payload"]);
        payloads.filter(|payload| payload["userbot_id"] == account).cloned().collect()
    }

    /// Types of an account's events, in order.
    pub(crate) fn kinds(&self, account: i64) -> Vec<String> {
        let kind = |payload: Value| payload["type"].as_str().unwrap().to_owned();
        self.events(account).into_iter().map(kind).collect()
    }

    /// Waits for an event of this type with such a result, and gives the first.
    pub(crate) async fn next(
        &self,
        account: i64,
        kind: &str,
        with: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut length = self.length.subscribe();
        let found = async {
            loop {
                let events = self.events(account).into_iter();
                let mut events = events.filter(|event| event["type"] == kind);
                if let Some(event) = events.find(|event| with(&event["result"])) {
                    return event;
                }
                length.changed().await.unwrap();
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("no such {kind} among {:?}", self.kinds(account)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl EventSink for MemoryLog {
    fn append(&self, event: Event, epoch: Epoch, _known: bool, stored: Option<OnStored>) {
        let result = {
            let mut state = self.lock();
            if state.fenced {
                Err(NotStored::Fenced)
            } else {
                let prev = state.last.get(&event.account).copied();
                let id = prev.map_or_else(|| EventId::first(epoch), EventId::next);
                state.last.insert(event.account, id);
                let mut json = Vec::new();
                event.encode(id, prev, &mut json);
                state.events.push(serde_json::from_slice(&json).unwrap());
                Ok(Bytes::from(json))
            }
        };
        self.length.send_modify(|length| *length += 1);
        if let Some(stored) = stored {
            stored(result);
        }
    }

    fn claim(&self, _account: AccountId, _epoch: Epoch) -> BoxFuture<'_, Result<(), NotStored>> {
        let mut up = self.up.subscribe();
        async move { up.wait_for(|up| *up).await.map(drop).map_err(|_| NotStored::Closed) }.boxed()
    }

    fn up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }
}
