use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use log_port::AccountLog;
use tokio::sync::{mpsc, oneshot};

use crate::in_flight::InFlightTable;
use crate::job::Work;

/// A message to an account's task.
#[expect(clippy::large_enum_variant, reason = "nearly all messages are of the large variant")]
pub(super) enum AccountMessage {
    Work(Work),
    Close { grace: Duration },
}

/// The sending side of an account's task.
pub(crate) struct AccountHandle {
    sender: mpsc::UnboundedSender<AccountMessage>,
    /// The account's log.
    pub(crate) log: Arc<dyn AccountLog>,
    /// The account's in-flight commands.
    pub(crate) in_flight: Arc<InFlightTable>,
    ended: Shared<oneshot::Receiver<Infallible>>,
}

/// The receiving side.
pub(super) struct AccountMailbox {
    receiver: mpsc::UnboundedReceiver<AccountMessage>,
    /// Dropping it signals waiters that the task has ended, however it has.
    _ended: oneshot::Sender<Infallible>,
}

impl AccountHandle {
    pub(super) fn new(
        log: Arc<dyn AccountLog>,
        in_flight: Arc<InFlightTable>,
    ) -> (Self, AccountMailbox) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (ending, ended) = oneshot::channel();
        let handle = Self { sender, log, in_flight, ended: ended.shared() };
        (handle, AccountMailbox { receiver, _ended: ending })
    }

    /// Sends work to the account (`Account::on_message`). An account that is closing drops it, which
    /// means redelivery.
    pub(crate) fn submit(&self, work: Work) {
        drop(self.sender.send(AccountMessage::Work(work)));
    }

    /// Closes the account and waits until TDLib has closed it; running commands may finish within
    /// `grace`. Closing again may shorten the grace.
    pub(crate) fn close(&self, grace: Duration) -> impl Future<Output = ()> + use<> {
        drop(self.sender.send(AccountMessage::Close { grace }));
        self.ended.clone().map(drop)
    }
}

impl AccountMailbox {
    pub(super) async fn receive(&mut self) -> Option<AccountMessage> {
        self.receiver.recv().await
    }

    /// Whether every handle is dropped.
    pub(super) fn is_closed(&self) -> bool {
        self.receiver.is_closed()
    }
}
