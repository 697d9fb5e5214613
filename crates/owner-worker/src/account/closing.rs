use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tdlib::CallError;
use tdlib::methods::Close;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::warn;

use super::lane::Lane;
use super::{Account, Finished};

/// How long TDLib may take to close an account's databases before that is logged.
const SLOW_CLOSE: Duration = Duration::from_secs(30);

/// The state of closing.
pub(super) struct Closing {
    /// When what still runs is not waited for any longer.
    finish_by: Instant,
    /// TDLib closes the account without waiting for a place: the account's time is over.
    at_once: bool,
    step: Step,
}

enum Step {
    /// What has begun is being finished.
    Finishing,
    /// Waits for a place among the accounts that are closed at the same time.
    Waiting,
    /// TDLib has been told to close; the place, if there is one, is held until the account's end.
    Told { _place: Option<OwnedSemaphorePermit> },
}

impl Closing {
    /// When it is time for [`Account::close_if_overdue`].
    pub(super) fn finish_by(&self) -> Option<Instant> {
        matches!(self.step, Step::Finishing).then_some(self.finish_by)
    }
}

impl Account {
    /// Cuts the account's commands off and closes it. A `grace` of zero says that its time is over.
    pub(super) fn close(&mut self, grace: Duration) {
        let finish_by = Instant::now() + grace;
        let at_once = grace.is_zero();
        if let Some(closing) = &mut self.closing {
            closing.finish_by = closing.finish_by.min(finish_by);
            closing.at_once |= at_once;
            if at_once && matches!(closing.step, Step::Waiting) {
                self.on_place(None);
            }
            return;
        }
        self.common.given_up.cancel();
        for lane in &mut self.lanes {
            lane.clear();
        }
        if let Some(opening) = &self.opening {
            opening.cancel();
        }
        self.closing = Some(Closing { finish_by, at_once, step: Step::Finishing });
    }

    /// Goes on with closing: once nothing runs TDLib is told in its turn, and once it has closed,
    /// and what ran has told so, all is done.
    pub(super) fn has_closed(&mut self) -> bool {
        let idle = self.lanes.iter().all(Lane::is_idle);
        let Some(closing) = &self.closing else { return false };
        if self.session.is_some() && idle && matches!(closing.step, Step::Finishing) {
            self.wait_for_place();
        }
        self.session.is_none() && self.opening.is_none() && idle
    }

    /// What has not finished in time is not waited for any longer.
    pub(super) fn close_if_overdue(&mut self) {
        if self.closing.as_ref().and_then(Closing::finish_by).is_some_and(|by| by <= Instant::now())
        {
            self.common.cut_short.cancel();
            self.wait_for_place();
        }
    }

    fn wait_for_place(&mut self) {
        let Some(closing) = &mut self.closing else { return };
        if closing.at_once {
            return self.on_place(None);
        }
        closing.step = Step::Waiting;
        let place = Arc::clone(&self.shared.closing).acquire_owned();
        self.tasks.push(place.map(|place| Finished::Place(place.ok())).boxed());
    }

    /// It is the account's turn to be closed.
    pub(super) fn on_place(&mut self, place: Option<OwnedSemaphorePermit>) {
        let Some(closing) = &mut self.closing else { return };
        if !matches!(closing.step, Step::Told { .. }) {
            closing.step = Step::Told { _place: place };
            self.tell_tdlib_to_close();
        }
    }

    pub(super) fn tell_tdlib_to_close(&mut self) {
        let Some(session) = &self.session else { return };
        match session.client.start(Close) {
            Ok(mut answer) => {
                let id = self.id;
                let slow = async move {
                    if let Err(CallError::Deadline) = answer.wait(SLOW_CLOSE).await {
                        warn!(account.id = %id, "TDLib is slow to close the account");
                    }
                    Finished::Told
                };
                self.tasks.push(slow.boxed());
            }
            Err(error) => {
                warn!(account.id = %self.id, error = ?error, "TDLib cannot be told to close");
            }
        }
    }
}
