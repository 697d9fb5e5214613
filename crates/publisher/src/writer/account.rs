//! What the writer knows of one account.

use std::collections::VecDeque;

use contracts::{AccountId, Epoch, EventId};
use tracing::{info, warn};

use crate::error::NotStored;
use crate::writer::BATCH;
use crate::writer::flight::{Append, Cargo, Claim};
use crate::writer::tally::Tally;

#[derive(Default)]
pub(super) struct Account {
    /// The epoch its log is claimed for, and where the log ends; `None` until claimed.
    pub head: Option<(Epoch, Option<EventId>)>,
    pub waiting: VecDeque<Task>,
    /// The store's log ends before ours: it has lost events.
    pub behind: Option<Behind>,
    pub trouble: Trouble,
    /// Stands in the list of those with work waiting.
    pub listed: bool,
    /// Some worker runs it.
    pub known: bool,
}

/// Where the store's log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind(pub Option<EventId>);

/// Whether the store refused the account's last call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trouble {
    #[default]
    No,
    /// It did; the call waits for the next tick.
    Waiting,
    /// It did, and the call is tried again.
    Retrying,
}

pub(super) enum Task {
    Append(Append),
    Claim(Claim),
}

/// What to ask of the store next.
pub(super) enum Step {
    Append { epoch: Epoch, prev: Option<EventId>, appends: Vec<Append> },
    Claim { epoch: Epoch, cargo: Cargo },
}

impl Task {
    fn epoch(&self) -> Epoch {
        match self {
            Self::Append(append) => append.epoch,
            Self::Claim(claim) => claim.epoch,
        }
    }

    pub(super) fn fail(self, reason: NotStored, tally: &Tally) {
        match self {
            Self::Append(append) => append.finish(Err(reason), tally),
            Self::Claim(claim) => claim.finish(Err(reason.into())),
        }
    }
}

impl Account {
    pub(super) fn is_due(&self) -> bool {
        let work = !self.waiting.is_empty() || self.behind.is_some();
        work && self.trouble != Trouble::Waiting
    }

    pub(super) fn is_forgettable(&self) -> bool {
        !self.known && self.waiting.is_empty() && self.behind.is_none() && !self.listed
    }

    /// The longest run of tasks that one call can carry; `None` without any.
    pub(super) fn next(&mut self, tally: &Tally) -> Option<Step> {
        self.fail_outdated(tally);
        let epoch = self.waiting.front()?.epoch();
        if let Some(Task::Claim(claim)) = self.waiting.pop_front_if(|task| task.is_claim()) {
            return Some(Step::Claim { epoch, cargo: Cargo::Claim(claim) });
        }
        match self.head {
            Some((claimed, prev)) if claimed == epoch => {
                Some(Step::Append { epoch, prev, appends: self.appends(epoch) })
            }
            _ => Some(Step::Claim { epoch, cargo: Cargo::Nothing }),
        }
    }

    fn appends(&mut self, epoch: Epoch) -> Vec<Append> {
        let mut appends = Vec::new();
        while appends.len() < BATCH
            && let Some(Task::Append(append)) =
                self.waiting.pop_front_if(|task| !task.is_claim() && task.epoch() == epoch)
        {
            appends.push(append);
        }
        appends
    }

    /// This very worker has claimed the account for a newer epoch since.
    fn fail_outdated(&mut self, tally: &Tally) {
        let Some((current, _)) = self.head else { return };
        while let Some(task) = self.waiting.pop_front_if(|task| task.epoch() < current) {
            task.fail(NotStored::Fenced { current }, tally);
        }
    }

    pub(super) fn give_back(&mut self, cargo: Cargo) {
        match cargo {
            Cargo::Nothing => {}
            Cargo::Claim(claim) => self.waiting.push_front(Task::Claim(claim)),
            Cargo::Appends(appends) => {
                for append in appends.into_iter().rev() {
                    self.waiting.push_front(Task::Append(append));
                }
            }
        }
    }

    /// The store's log ends at `last`, it says; the answer is where it ends for us.
    pub(super) fn found(&mut self, epoch: Epoch, last: Option<EventId>) -> Option<EventId> {
        let ours = self.head.and_then(|(_, last)| last);
        self.behind = (last < ours).then_some(Behind(last));
        self.head = Some((epoch, last.max(ours)));
        last.max(ours)
    }

    /// The store took a call.
    pub(super) fn accepted(&mut self, account: AccountId) {
        if std::mem::take(&mut self.trouble) != Trouble::No {
            info!(account.id = %account, "redis takes the account's events again");
        }
    }

    /// The store refused a call and says why.
    pub(super) fn refused(&mut self, account: AccountId, reason: &str) {
        if std::mem::replace(&mut self.trouble, Trouble::Waiting) == Trouble::No {
            warn!(
                account.id = %account,
                reason, "redis refuses the account's events; trying again until it takes them"
            );
        }
    }
}

impl Task {
    fn is_claim(&self) -> bool {
        matches!(self, Self::Claim(_))
    }
}
