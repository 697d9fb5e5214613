//! What the writer knows of one account.

use std::collections::VecDeque;
use std::sync::Arc;

use contracts::{AccountId, Epoch, EventId};
use log_port::OwnerToken;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::store::{Act, Call};
use crate::writer::BATCH;
use crate::writer::flight::{Beginning, Task};
use crate::writer::said::Said;
use crate::writer::tally::Tally;
use log_port::NotStored;

pub(super) struct Account {
    /// The epoch its log is claimed for, and where the log ends; `None` until claimed.
    pub head: Option<(Epoch, Option<EventId>)>,
    pub waiting: VecDeque<(OwnerToken, Task)>,
    /// What the store was told beside events, under the epoch of `head`.
    pub said: Said,
    /// The store's log ends before ours: it has lost events.
    pub behind: Option<Behind>,
    pub trouble: Trouble,
    /// Stands in the list of those with work waiting.
    pub listed: bool,
    /// Some worker runs it.
    pub served: bool,
    /// When old events were last dropped, or the account was first heard of.
    pub trimmed: Instant,
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

/// Tasks of one kind and epoch in a row, for one call; without any, the account is to be claimed
/// first.
pub(super) struct Run {
    pub epoch: Epoch,
    /// Some worker runs the account, says one of the tasks.
    pub served: bool,
    pub last: Option<EventId>,
    pub tasks: Vec<Task>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            head: None,
            waiting: VecDeque::new(),
            said: Said::default(),
            behind: None,
            trouble: Trouble::No,
            listed: false,
            served: false,
            trimmed: Instant::now(),
        }
    }
}

impl Account {
    pub(super) fn is_due(&self) -> bool {
        let work = !self.waiting.is_empty() || self.behind.is_some();
        work && self.trouble != Trouble::Waiting
    }

    pub(super) fn is_forgettable(&self) -> bool {
        let idle = self.waiting.is_empty() && self.behind.is_none() && !self.listed;
        idle && !self.served && self.said.is_empty()
    }

    /// The longest run of tasks that one call can carry; `None` without any.
    pub(super) fn next(&mut self, tally: &Tally) -> Option<Run> {
        if let Some((current, _)) = self.head {
            // This very worker may have claimed the account for a newer epoch since.
            self.fail_older(current, tally);
        }
        let (owner, first) = self.waiting.front()?;
        let OwnerToken { epoch, served, .. } = *owner;
        let last = match self.head {
            Some((claimed, last)) if claimed == epoch => last,
            _ if matches!(first, Task::Claim(_)) => None,
            _ => return Some(Run { epoch, served, last: None, tasks: Vec::new() }),
        };
        let mut run = Run { epoch, served, last, tasks: Vec::new() };
        let mut weight = 0;
        while weight < BATCH
            && let Some((owner, task)) = self.waiting.pop_front_if(|(owner, task)| {
                let first = run.tasks.first();
                owner.epoch == epoch && first.is_none_or(|first| first.goes_with(task))
            })
        {
            weight += task.weight();
            run.served |= owner.served;
            run.tasks.push(task);
        }
        Some(run)
    }

    fn fail_older(&mut self, current: Epoch, tally: &Tally) {
        while let Some((_, task)) = self.waiting.pop_front_if(|(owner, _)| owner.epoch < current) {
            task.fail(NotStored::Fenced { current }, tally);
        }
    }

    /// The act that carries these tasks out; they are no appends.
    pub(super) fn act(&self, tasks: &[Task]) -> Act {
        let begin = |task: &Task| match task {
            Task::Admit(Beginning { asked, .. }) => Some(asked.clone()),
            _ => None,
        };
        let leave = |task: &Task| match task {
            Task::UndoDispatch(command) => {
                self.said.token(command).map(|token| (command.clone(), token))
            }
            _ => None,
        };
        let park = |task: &Task| match task {
            Task::PushPending(parking) => Some(Arc::clone(&parking.parked)),
            _ => None,
        };
        let unpark = |task: &Task| match task {
            Task::RemovePending(place) => Some(*place),
            _ => None,
        };
        let note = |task: &Task| match task {
            Task::SetHead(note) => Some(*note),
            _ => None,
        };
        match tasks.first() {
            None | Some(Task::Append(_)) => Act::Claim { pending: false },
            Some(Task::Claim(_)) => Act::Claim { pending: true },
            Some(Task::Admit(_)) => Act::Admit(tasks.iter().filter_map(begin).collect()),
            Some(Task::UndoDispatch(_)) => {
                Act::UndoDispatch(tasks.iter().filter_map(leave).collect())
            }
            Some(Task::PushPending(_)) => Act::PushPending(tasks.iter().filter_map(park).collect()),
            Some(Task::RemovePending(_)) => {
                Act::RemovePending(tasks.iter().filter_map(unpark).collect())
            }
            Some(Task::SetHead(_)) => Act::SetHead(tasks.iter().filter_map(note).collect()),
        }
    }

    /// Puts the tasks of a call that was not carried out back to where they stood.
    pub(super) fn give_back(&mut self, call: &Call, tasks: Vec<Task>) {
        let Call { account, epoch, served, .. } = *call;
        for task in tasks.into_iter().rev() {
            self.waiting.push_front((OwnerToken { account, epoch, served }, task));
        }
    }

    /// The store's log ends at `last`, it says; the answer is where it ends for us.
    pub(super) fn found(&mut self, epoch: Epoch, last: Option<EventId>) -> Option<EventId> {
        if self.head.is_some_and(|(before, _)| before != epoch) {
            self.said = Said::default();
        }
        let ours = self.head.and_then(|(_, last)| last);
        self.behind = (last < ours).then_some(Behind(last));
        self.head = Some((epoch, last.max(ours)));
        last.max(ours)
    }

    /// A newer owner has the account.
    pub(super) fn lost(&mut self, current: Epoch, tally: &Tally) {
        self.fail_older(current, tally);
        (self.head, self.behind, self.trouble) = (None, None, Trouble::No);
        self.said = Said::default();
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
