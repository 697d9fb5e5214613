use std::error::Error;
use std::sync::Arc;

use contracts::{AccountId, Body, Event, EventMeta};
use log_port::{AccountLog, NotStored};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use super::spool::Spool;
use crate::worker::Shared;

/// What `resync` tells.
#[derive(Serialize, JsonSchema)]
pub(super) struct Resync {
    /// Why events may be missing.
    reason: Gap,
}

/// Why events may be missing.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Gap {
    /// The owner before has not given the account up in good order: what TDLib told it last may
    /// never have been published.
    TakeOver,
    /// While the event log was away there was more to tell than could be kept.
    SpoolOverflow,
}

/// The way of the account's own events to the log: answers do not go by it.
///
/// Until the account's directory is locked they wait here, since its spool may hold older ones.
/// While the log is away, and until all that was spooled is stored, they are spooled; otherwise
/// they go straight to the log.
pub(super) struct Outbox {
    shared: Arc<Shared>,
    account: AccountId,
    log: Arc<dyn AccountLog>,
    log_up: watch::Receiver<bool>,
    way: Way,
    /// A part of the spool is on its way into the log.
    sending: bool,
    /// Events that got lost since the last `resync`.
    lost: u64,
}

enum Way {
    /// The directory is not locked yet.
    Held(Vec<Event>),
    Open(Spool),
    /// There is no directory.
    Direct,
}

/// Is told whether the log has what it was given of the spool.
pub(super) type Sent = oneshot::Receiver<Result<(), NotStored>>;

impl Outbox {
    pub(super) fn new(shared: Arc<Shared>, log: Arc<dyn AccountLog>) -> Self {
        let log_up = shared.log.up();
        let account = log.token().account;
        let way = Way::Held(Vec::new());
        Self { shared, account, log, log_up, way, sending: false, lost: 0 }
    }

    /// Tells an event.
    pub(super) fn tell(&mut self, event: Event) {
        let straight = self.is_straight();
        match &mut self.way {
            Way::Held(held) => held.push(event),
            Way::Open(spool) if !straight => {
                if !spool.push(&event) {
                    self.lose(1, None);
                }
            }
            Way::Open(_) | Way::Direct => {
                self.own_up();
                self.append(event);
            }
        }
    }

    /// Tells what is true for a moment only, if the log takes it at once; whether it does.
    pub(super) fn tell_passing(&self, event: Event) -> bool {
        let takes = self.is_straight() && !self.shared.log.is_behind();
        if takes {
            self.append(event);
        }
        takes
    }

    /// Tells that events may be missing, before anything that is told later.
    pub(super) fn resync(&self, reason: Gap) {
        let Ok(result) = serde_json::to_string(&Resync { reason }) else { return };
        self.append(Event {
            account: self.account,
            kind: "resync".into(),
            body: Body::Result(result.into()),
            meta: EventMeta::at(self.shared.clock.now()),
        });
    }

    /// From now on the directory's spool is used; what is in it goes first.
    pub(super) fn open(&mut self, spool: Spool) {
        let before = std::mem::replace(&mut self.way, Way::Open(spool));
        self.sending = false;
        if let Way::Held(held) = before {
            for event in held {
                self.tell(event);
            }
        }
    }

    /// The directory is about to be let go of, or was not got.
    pub(super) fn close(&mut self) {
        self.flush();
        self.own_up();
        if let Way::Held(held) = std::mem::replace(&mut self.way, Way::Direct) {
            for event in held {
                self.append(event);
            }
        }
    }

    /// The directory will be locked anew.
    pub(super) fn reopen(&mut self) {
        if let Way::Direct = self.way {
            self.way = Way::Held(Vec::new());
        }
    }

    /// Writes what is to be spooled to disk.
    pub(super) fn flush(&mut self) {
        if let Way::Open(spool) = &mut self.way
            && let Err(lost) = spool.flush()
        {
            self.lose(lost.count, Some(&lost));
        }
    }

    /// Gives the log the next part of the spool, if it is there and has stored the one before.
    pub(super) fn send(&mut self) -> Option<Sent> {
        if self.sending || !*self.log_up.borrow() {
            return None;
        }
        let Way::Open(spool) = &mut self.way else { return None };
        let chunk = match spool.take(self.account) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                self.own_up();
                return None;
            }
            Err(error) => {
                self.discard(&error);
                return None;
            }
        };
        if chunk.unreadable > 0 {
            self.lose(chunk.unreadable, None);
        }
        let (told, sent) = oneshot::channel();
        let mut events = chunk.events;
        let Some(last) = events.pop() else {
            self.on_stored();
            return None;
        };
        self.sending = true;
        for event in events {
            self.append(event);
        }
        let stored = Box::new(move |stored: Result<_, _>| {
            // The account may have ended.
            told.send(stored.map(drop)).ok();
        });
        self.log.append(last, None, Some(stored));
        Some(sent)
    }

    /// The log has the part that it was given. One that it refuses is another owner's to tell, or
    /// this one's when it opens the account again.
    pub(super) fn on_sent(&mut self, stored: bool) {
        if stored && self.sending {
            self.sending = false;
            self.on_stored();
        }
    }

    fn on_stored(&mut self) {
        let Way::Open(spool) = &mut self.way else { return };
        if let Err(error) = spool.stored() {
            warn!(account.id = %self.account, %error, "a spool cannot be deleted");
        }
        if spool.is_empty() {
            self.own_up();
        }
    }

    /// Says that events were lost, if some were.
    fn own_up(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            info!(account.id = %self.account, lost, "telling that events were lost");
            self.resync(Gap::SpoolOverflow);
        }
    }

    /// Whether an event goes straight to the log.
    fn is_straight(&self) -> bool {
        let all_told = match &self.way {
            Way::Held(_) => false,
            Way::Open(spool) => spool.is_empty(),
            Way::Direct => true,
        };
        all_told && *self.log_up.borrow()
    }

    fn append(&self, event: Event) {
        self.log.append(event, None, None);
    }

    /// Gives up what is spooled: it cannot be read.
    fn discard(&mut self, error: &std::io::Error) {
        self.lose(1, Some(error));
        if let Way::Open(spool) = &mut self.way
            && spool.delete().is_err()
        {
            self.way = Way::Direct;
        }
    }

    fn lose(&mut self, count: u64, error: Option<&(dyn Error + 'static)>) {
        if self.lost == 0 {
            warn!(
                account.id = %self.account,
                error = error.map(runtime::error_chain),
                "events are lost: the spool is full or cannot be used"
            );
        }
        self.lost += count;
    }
}
