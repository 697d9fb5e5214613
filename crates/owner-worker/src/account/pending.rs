use std::sync::Arc;

use contracts::{Command, Epoch, Flow};
use jiff::{SignedDuration, Timestamp};
use log_port::{AccountLog, PendingCommand};
use tokio::sync::watch;

use crate::in_flight::{InFlightTable, Registration};
use crate::job::Work;
use crate::raw_message::RawMessage;
use crate::request::{CheckedCommand, DeliveryContext};
use crate::worker_context::WorkerContext;

/// A lane is slow once a command has been in it for this long.
const SLOW: SignedDuration = SignedDuration::from_secs(3);

/// The account's pending lists, one per flow: the commands of a slow lane are kept on Redis as
/// well, so that their messages can be acknowledged and no account stalls its shard.
pub(super) struct PendingLists {
    log: Arc<dyn AccountLog>,
    in_flight: Arc<InFlightTable>,
}

impl PendingLists {
    pub(super) fn new(log: Arc<dyn AccountLog>, in_flight: Arc<InFlightTable>) -> Self {
        Self { log, in_flight }
    }

    /// The epoch of the positions that this owner assigns.
    pub(super) fn epoch(&self) -> Epoch {
        self.log.token().epoch
    }

    /// Checks a command that an earlier owner left; `None` if another entry is the same command.
    pub(super) fn restore(&self, pending: PendingCommand, shared: &WorkerContext) -> Option<Work> {
        let ledger_key = pending.key();
        let PendingCommand { position, command, body, routing_key, properties } = pending;
        let (key, received_at) = (routing_key.parse().ok(), shared.clock.now());
        let message = RawMessage::new(body, key, properties, received_at);
        let delivery = DeliveryContext {
            log: Arc::clone(&self.log),
            flow: position.flow,
            redelivered: true,
            expired: false,
            id: Some(command),
        };
        let parsed = Command::read(&message.body, &message.properties, message.key.as_ref());
        let checked = CheckedCommand::check(parsed, &message, delivery, shared);
        let key = (self.log.token().account, ledger_key);
        let registration = self.in_flight.register(key, checked.fingerprint(), message, None);
        let Registration::New(guard) = registration else {
            self.log.remove_pending(position);
            return None;
        };
        guard.set_pending(position);
        Some(checked.into_work(guard))
    }

    /// Whether a command of this flow has been queued for long and is not in the pending list.
    pub(super) fn is_slow(&self, flow: Flow, now: Timestamp) -> bool {
        self.in_flight.is_slow(flow, now - SLOW)
    }

    /// Appends the commands of one flow that are not in the pending list yet.
    pub(super) fn push_queued(&self, flow: Flow, log_up: &watch::Receiver<bool>) {
        self.push(self.in_flight.take_queued(flow), log_up);
    }

    /// Appends everything again that belongs in the pending lists.
    pub(super) fn push_again(&self, log_up: &watch::Receiver<bool>) {
        self.push(self.in_flight.pending(), log_up);
    }

    /// Appends commands to their pending lists. Does nothing while the log is down, or is back
    /// without this account having noticed: [`Self::push_again`] comes first then, because the
    /// order must be kept.
    pub(super) fn push(&self, commands: Vec<PendingCommand>, log_up: &watch::Receiver<bool>) {
        let down = !*log_up.borrow() || log_up.has_changed().unwrap_or(true);
        if commands.is_empty() || down {
            return;
        }
        let positions: Vec<_> =
            commands.iter().map(|command| (command.key(), command.position)).collect();
        let (in_flight, account) = (Arc::clone(&self.in_flight), self.log.token().account);
        let on_pending = move |stored: Result<(), _>| {
            if stored.is_ok() {
                in_flight.mark_pending(account, positions);
            }
        };
        self.log.push_pending(commands, Box::new(on_pending));
    }
}
