use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use log_port::AccountLog;
use tokio::sync::{mpsc, oneshot};

use super::Errand;
use crate::copies::Copies;

/// What an account is told.
#[expect(clippy::large_enum_variant, reason = "nearly every message is an errand")]
pub(super) enum Message {
    Errand(Errand),
    Close { grace: Duration },
}

/// The way to an account's task.
pub(crate) struct Handle {
    pub(super) mailbox: mpsc::UnboundedSender<Message>,
    /// The account's log.
    pub(crate) log: Arc<dyn AccountLog>,
    /// The account's commands that are under way.
    pub(crate) copies: Arc<Copies>,
    pub(super) ended: Shared<oneshot::Receiver<Infallible>>,
}

impl Handle {
    /// Puts a command on its lane. An account that is closing drops it: it is left to redelivery.
    pub(crate) fn submit(&self, errand: Errand) {
        drop(self.mailbox.send(Message::Errand(errand)));
    }

    /// Closes the account and waits until TDLib has closed it; what has begun may take `grace` to
    /// finish. Closing it again may shorten that.
    pub(crate) fn close(&self, grace: Duration) -> impl Future<Output = ()> + use<> {
        drop(self.mailbox.send(Message::Close { grace }));
        self.ended.clone().map(drop)
    }
}
