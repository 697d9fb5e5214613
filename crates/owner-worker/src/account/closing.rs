use std::time::Duration;

use futures_util::FutureExt;
use tdlib::CallError;
use tdlib::methods::Close;
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
    /// TDLib has been told to close.
    told: bool,
}

impl Closing {
    /// When it is time for [`Account::close_if_overdue`].
    pub(super) fn finish_by(&self) -> Option<Instant> {
        (!self.told).then_some(self.finish_by)
    }
}

impl Account {
    pub(super) fn close(&mut self, grace: Duration) {
        let finish_by = Instant::now() + grace;
        if let Some(closing) = &mut self.closing {
            closing.finish_by = closing.finish_by.min(finish_by);
            return;
        }
        self.common.given_up.cancel();
        for lane in &mut self.lanes {
            lane.clear();
        }
        if let Some(opening) = &self.opening {
            opening.cancel();
        }
        self.closing = Some(Closing { finish_by, told: false });
    }

    /// Goes on with closing: once nothing runs TDLib is told, and once it has closed, and what ran
    /// has told so, all is done.
    pub(super) fn has_closed(&mut self) -> bool {
        let idle = self.lanes.iter().all(Lane::is_idle);
        let Some(closing) = &mut self.closing else { return false };
        if self.session.is_some() && idle && !closing.told {
            closing.told = true;
            self.tell_tdlib_to_close();
        }
        self.session.is_none() && self.opening.is_none() && idle
    }

    /// What has not finished in time is not waited for any longer.
    pub(super) fn close_if_overdue(&mut self) {
        let overdue = |closing: &&mut Closing| !closing.told && closing.finish_by <= Instant::now();
        if let Some(closing) = self.closing.as_mut().filter(overdue) {
            closing.told = true;
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
