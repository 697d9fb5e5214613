use std::error::Error;
use std::io;
use std::mem;
use std::sync::Arc;

use contracts::{AccountId, Body, Event, EventMeta};
use log_port::{AccountLog, NotStored};
use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use super::events::{ResyncEvent, ResyncReason};
use super::storage::Spool;
use super::tasks::{AccountTasks, TaskResult};
use crate::worker_context::WorkerContext;

/// Sends the account's own events to the log; answers do not pass through it.
///
/// Events are held back until the account's directory is locked, since its spool may contain older
/// ones. While the log is down, and until all spooled events are stored, they are spooled. Otherwise
/// they go directly to the log.
pub(super) struct Outbox {
    shared: Arc<WorkerContext>,
    account: AccountId,
    log: Arc<dyn AccountLog>,
    log_up: watch::Receiver<bool>,
    mode: OutboxMode,
    /// A chunk of the spool is being stored.
    sending: bool,
    /// Number of events lost since the last `resync`.
    lost: u64,
}

enum OutboxMode {
    /// The directory is not locked yet.
    Holding(Vec<Event>),
    Spooling(Spool),
    /// There is no directory.
    Direct,
}

impl Outbox {
    pub(super) fn new(shared: Arc<WorkerContext>, log: Arc<dyn AccountLog>) -> Self {
        let log_up = shared.log.up();
        let account = log.token().account;
        let mode = OutboxMode::Holding(Vec::new());
        Self { shared, account, log, log_up, mode, sending: false, lost: 0 }
    }

    /// Publishes an event.
    pub(super) fn publish(&mut self, event: Event) {
        let direct = self.is_direct();
        match &mut self.mode {
            OutboxMode::Holding(held) => held.push(event),
            OutboxMode::Spooling(spool) if !direct => {
                if !spool.push(&event) {
                    self.count_lost(1, None);
                }
            }
            OutboxMode::Spooling(_) | OutboxMode::Direct => {
                self.report_loss();
                self.append(event);
            }
        }
    }

    /// Publishes an event of the account's own, with this `result`, that occurs now.
    pub(super) fn publish_result(&mut self, kind: &'static str, result: &impl Serialize) {
        if let Some(event) = self.event(kind, result) {
            self.publish(event);
        }
    }

    /// Publishes an update that is soon stale. It is dropped if the log is down or far behind.
    pub(super) fn publish_transient(&self, event: Event) {
        if self.is_direct() && !self.shared.log.is_behind() {
            self.append(event);
        } else {
            self.shared.dropped_updates.count();
        }
    }

    /// Publishes that events may be missing, before any later event.
    pub(super) fn resync(&self, reason: ResyncReason) {
        if let Some(event) = self.event("resync", &ResyncEvent { reason }) {
            self.append(event);
        }
    }

    /// The directory is locked: from now on its spool is used, and what is in it goes first.
    pub(super) fn use_spool(&mut self, spool: Spool) {
        let before = mem::replace(&mut self.mode, OutboxMode::Spooling(spool));
        self.sending = false;
        if let OutboxMode::Holding(held) = before {
            for event in held {
                self.publish(event);
            }
        }
    }

    /// The directory is about to be unlocked, or could not be locked.
    pub(super) fn close_spool(&mut self) {
        self.flush();
        self.report_loss();
        if let OutboxMode::Holding(held) = mem::replace(&mut self.mode, OutboxMode::Direct) {
            for event in held {
                self.append(event);
            }
        }
    }

    /// The directory will be locked again.
    pub(super) fn hold(&mut self) {
        if let OutboxMode::Direct = self.mode {
            self.mode = OutboxMode::Holding(Vec::new());
        }
    }

    /// Writes spooled events to disk, and sends what is there to the log.
    pub(super) fn pump(&mut self, tasks: &AccountTasks) {
        self.flush();
        if let Some(stored) = self.send_spooled() {
            tasks.add(stored, |stored| TaskResult::ChunkStored(matches!(stored, Ok(Ok(())))));
        }
    }

    fn flush(&mut self) {
        if let OutboxMode::Spooling(spool) = &mut self.mode
            && let Err(lost) = spool.flush()
        {
            self.count_lost(lost.count, Some(&lost));
        }
    }

    /// Sends the next chunk of the spool to the log, if the log is up and has stored the last one.
    /// The receiver resolves once the chunk is stored.
    fn send_spooled(&mut self) -> Option<oneshot::Receiver<Result<(), NotStored>>> {
        if self.sending || !*self.log_up.borrow() {
            return None;
        }
        let OutboxMode::Spooling(spool) = &mut self.mode else { return None };
        let chunk = match spool.next_chunk(self.account) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                self.report_loss();
                return None;
            }
            Err(error) => {
                self.discard_spool(&error);
                return None;
            }
        };
        if chunk.unreadable > 0 {
            self.count_lost(chunk.unreadable, None);
        }
        let mut events = chunk.events;
        let Some(last) = events.pop() else {
            self.mark_stored();
            return None;
        };
        self.sending = true;
        for event in events {
            self.append(event);
        }
        let (sender, stored) = oneshot::channel();
        let on_stored = Box::new(move |stored: Result<_, _>| {
            // The account's task may have ended.
            sender.send(stored.map(drop)).ok();
        });
        self.log.append(last, None, Some(on_stored));
        Some(stored)
    }

    /// The log has stored the chunk, or refuses it. A refused chunk is published by the account's
    /// new owner, or by this one when it opens the account again.
    pub(super) fn on_chunk_stored(&mut self, stored: bool) {
        if stored && self.sending {
            self.sending = false;
            self.mark_stored();
        }
    }

    fn mark_stored(&mut self) {
        let OutboxMode::Spooling(spool) = &mut self.mode else { return };
        if let Err(error) = spool.mark_stored() {
            warn!(account.id = %self.account, %error, "a spool cannot be deleted");
        }
        if spool.is_empty() {
            self.report_loss();
        }
    }

    /// Publishes `resync` if events were lost.
    fn report_loss(&mut self) {
        let lost = mem::take(&mut self.lost);
        if lost > 0 {
            info!(account.id = %self.account, lost, "publishing resync: events were lost");
            self.resync(ResyncReason::SpoolOverflow);
        }
    }

    /// Whether events go directly to the log.
    fn is_direct(&self) -> bool {
        let all_stored = match &self.mode {
            OutboxMode::Holding(_) => false,
            OutboxMode::Spooling(spool) => spool.is_empty(),
            OutboxMode::Direct => true,
        };
        all_stored && *self.log_up.borrow()
    }

    fn event(&self, kind: &'static str, result: &impl Serialize) -> Option<Event> {
        let result = serde_json::to_string(result).ok()?;
        Some(Event {
            account: self.account,
            kind: kind.into(),
            body: Body::Result(result.into_boxed_str()),
            meta: EventMeta::at(self.shared.clock.now()),
        })
    }

    fn append(&self, event: Event) {
        self.log.append(event, None, None);
    }

    /// Discards the spool, which cannot be read.
    fn discard_spool(&mut self, error: &io::Error) {
        self.count_lost(1, Some(error));
        if let OutboxMode::Spooling(spool) = &mut self.mode
            && spool.delete().is_err()
        {
            self.mode = OutboxMode::Direct;
        }
    }

    fn count_lost(&mut self, count: u64, error: Option<&(dyn Error + 'static)>) {
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
