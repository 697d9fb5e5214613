//! Joins the ports that the parts declare to the parts that fill them.

use std::sync::{Arc, OnceLock};

use broker::{Bus, Delivery, Execute, Settlement};
use bytes::Bytes;
use contracts::{
    Begin, Begun, Claimant, Claimed, CommandId, Event, Note, Parked, Place, Properties, RoutingKey,
    Settle, ShardCount,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use owner_worker::{EventSink, NotStored, OnParked, OnStored, Outcome, Request, Worker};
use ownership::Guard;
use publisher::{ClaimError, EventLog, Stored};
use tokio::sync::watch;

/// The broker's deliveries go to the worker.
pub(crate) struct Intake {
    pub(crate) worker: Arc<Worker>,
    pub(crate) guard: Guard,
    pub(crate) count: ShardCount,
}

impl Execute for Intake {
    fn execute(&self, delivery: Delivery) {
        let Delivery { body, key, properties, redelivered, expired, ticket, .. } = delivery;
        if let Some(key) = &key {
            if let Some(key) = self.right_key(key) {
                return ticket.settle(Settlement::Forward { key });
            }
            if !self.guard.holds(key.shard) {
                return ticket.refuse();
            }
        }
        let request = Request { body, key, properties, redelivered, expired };
        let done = move |outcome| {
            ticket.settle(match outcome {
                Outcome::Answered(event) => Settlement::Answered { event },
                Outcome::AnsweredBefore | Outcome::Parked => Settlement::Kept,
                Outcome::DeadLetter { reason, event } => Settlement::DeadLetter { reason, event },
            });
        };
        self.worker.submit(request, Box::new(done));
    }
}

impl Intake {
    /// The key that leads to the account's shard, when this one does not.
    fn right_key(&self, key: &RoutingKey) -> Option<RoutingKey> {
        let right = RoutingKey::new(key.flow, self.count, key.account, &key.command);
        (right.shard != key.shard).then_some(right)
    }
}

/// The answers of commands that RabbitMQ has let go of go by the bus, once there is one: it is made
/// after the worker that it hands its deliveries to.
#[derive(Default)]
pub(crate) struct Replies(OnceLock<Bus>);

impl Replies {
    pub(crate) fn go_by(&self, bus: Bus) {
        self.0.get_or_init(|| bus);
    }
}

impl owner_worker::Replies for Replies {
    fn reply(&self, command: &Properties, event: Bytes) {
        if let Some(bus) = self.0.get() {
            bus.reply(command, event);
        }
    }
}

/// So many events of all accounts together wait in a log that is far behind.
const FAR_BEHIND: usize = 20_000;

/// The worker's events go to the log.
pub(crate) struct Log(pub(crate) EventLog);

impl EventSink for Log {
    fn append(
        &self,
        claimant: Claimant,
        event: Event,
        settle: Option<Settle>,
        stored: Option<OnStored>,
    ) {
        let stored = stored.map(|stored| -> publisher::OnStored {
            Box::new(move |result: Result<Stored, publisher::NotStored>| {
                stored(result.map(|event| event.json).map_err(not_stored));
            })
        });
        self.0.append(claimant, event, settle, stored);
    }

    fn claim(&self, claimant: Claimant) -> BoxFuture<'_, Result<Claimed, NotStored>> {
        async move {
            self.0.claim(claimant).await.map_err(|reason| match reason {
                ClaimError::Fenced { .. } => NotStored::Fenced,
                ClaimError::Closed => NotStored::Closed,
            })
        }
        .boxed()
    }

    fn begin(
        &self,
        claimant: Claimant,
        begin: Begin,
    ) -> BoxFuture<'static, Result<Begun, NotStored>> {
        self.0.begin(claimant, begin).map(|begun| begun.map_err(not_stored)).boxed()
    }

    fn leave(&self, claimant: Claimant, command: CommandId) {
        self.0.leave(claimant, command);
    }

    fn park(&self, claimant: Claimant, parked: Vec<Parked>, stored: OnParked) {
        self.0.park(claimant, parked, Box::new(move |parked| stored(parked.map_err(not_stored))));
    }

    fn unpark(&self, claimant: Claimant, place: Place) {
        self.0.unpark(claimant, place);
    }

    fn note(&self, claimant: Claimant, note: Note) {
        self.0.note(claimant, note);
    }

    fn pressed(&self) -> bool {
        self.0.counters().queued > FAR_BEHIND
    }

    fn up(&self) -> watch::Receiver<bool> {
        self.0.connected()
    }
}

fn not_stored(reason: publisher::NotStored) -> NotStored {
    match reason {
        publisher::NotStored::Fenced { .. } => NotStored::Fenced,
        publisher::NotStored::Closed => NotStored::Closed,
    }
}
