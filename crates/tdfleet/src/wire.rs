//! Joins the ports that the parts declare to the parts that fill them.

use std::sync::Arc;

use broker::{Delivery, Execute, Settlement};
use contracts::{AccountId, Epoch, Event, RoutingKey, ShardCount};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use owner_worker::{EventSink, NotStored, OnStored, Outcome, Request, Worker};
use publisher::{ClaimError, EventLog, Stored};
use tokio::sync::watch;

/// The broker's deliveries go to the worker.
pub(crate) struct Intake {
    pub(crate) worker: Arc<Worker>,
    pub(crate) count: ShardCount,
}

impl Execute for Intake {
    fn execute(&self, delivery: Delivery) {
        let Delivery { body, key, properties, redelivered, expired, ticket, .. } = delivery;
        if let Some(key) = key.as_ref().and_then(|key| self.right_key(key)) {
            return ticket.settle(Settlement::Forward { key });
        }
        let request = Request {
            body: &body,
            key: key.as_ref(),
            properties: &properties,
            redelivered,
            expired,
        };
        let done = move |outcome| {
            ticket.settle(match outcome {
                Outcome::Answered(event) => Settlement::Answered { event },
                Outcome::DeadLetter { reason, event } => Settlement::DeadLetter { reason, event },
            });
        };
        self.worker.submit(&request, Box::new(done));
    }
}

impl Intake {
    /// The key that leads to the account's shard, when this one does not.
    fn right_key(&self, key: &RoutingKey) -> Option<RoutingKey> {
        let right = RoutingKey::new(key.flow, self.count, key.account, &key.command);
        (right.shard != key.shard).then_some(right)
    }
}

/// The worker's events go to the log.
pub(crate) struct Log(pub(crate) EventLog);

impl EventSink for Log {
    fn append(&self, event: Event, epoch: Epoch, known: bool, stored: Option<OnStored>) {
        let stored = stored.map(|stored| -> publisher::OnStored {
            Box::new(move |result: Result<Stored, publisher::NotStored>| {
                stored(result.map(|event| event.json).map_err(|reason| match reason {
                    publisher::NotStored::Fenced { .. } => NotStored::Fenced,
                    publisher::NotStored::Closed => NotStored::Closed,
                }));
            })
        });
        self.0.append(event, epoch, known, stored);
    }

    fn claim(&self, account: AccountId, epoch: Epoch) -> BoxFuture<'_, Result<(), NotStored>> {
        async move {
            self.0.claim(account, epoch).await.map(drop).map_err(|reason| match reason {
                ClaimError::Fenced { .. } => NotStored::Fenced,
                ClaimError::Closed => NotStored::Closed,
            })
        }
        .boxed()
    }

    fn up(&self) -> watch::Receiver<bool> {
        self.0.connected()
    }
}
