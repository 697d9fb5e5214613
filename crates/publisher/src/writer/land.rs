//! What becomes of the calls: the books are brought up to date, and whoever waits is told.

use contracts::{AccountId, Epoch};
use log_port::{AdmissionVerdict, Intent, LogHead};
use tracing::warn;

use crate::store::{Act, Block, Call, Verdict};
use crate::writer::account::Account;
use crate::writer::books::Books;
use crate::writer::flight::{Flight, Task, claimed};
use log_port::NotStored;

impl Books {
    /// Takes note of a verdict, and tells whoever waits for it.
    pub(super) fn land(&mut self, flight: Flight, verdict: Verdict) {
        let Flight { call, tasks } = flight;
        let account = call.account;
        let state = self.accounts.entry(account).or_default();
        match verdict {
            Verdict::Claimed(head) => {
                state.accepted(account);
                state.claimed(&call, tasks, *head);
            }
            Verdict::Stored { unheard } => self.stored(call, tasks, unheard),
            Verdict::Already => self.stored(call, tasks, 0),
            Verdict::Admitted(begun) => {
                state.accepted(account);
                state.begun(tasks, begun);
            }
            Verdict::Done => {
                state.accepted(account);
                state.done(tasks);
            }
            Verdict::Fenced { current } => {
                let epoch = call.epoch;
                warn!(account.id = %account, %epoch, %current, "a newer owner has the account's log");
                for task in tasks {
                    task.fail(NotStored::Fenced { current }, &self.tally);
                }
                state.lost(current, &self.tally);
            }
            Verdict::Gap { last } => {
                state.give_back(&call, tasks);
                let knew = state.behind.is_some();
                state.found(call.epoch, last);
                if state.behind.is_none() {
                    let epoch = call.epoch;
                    warn!(account.id = %account, %epoch, "somebody else writes under this epoch");
                } else if !knew {
                    self.lost = true;
                }
            }
            Verdict::Refused(reason) => {
                state.give_back(&call, tasks);
                state.refused(account, &reason);
                self.troubled.push(account);
            }
        }
        self.list(account);
        self.forget(account);
    }

    /// Drops what is known of an account that no worker runs: the next event about it asks the
    /// store again.
    fn forget(&mut self, account: AccountId) {
        if self.accounts.get(&account).is_some_and(Account::is_forgettable) {
            self.accounts.remove(&account);
        }
    }

    fn stored(&mut self, call: Call, tasks: Vec<Task>, unheard: u64) {
        let Some(state) = self.accounts.get_mut(&call.account) else { return };
        state.accepted(call.account);
        let block = match call.act {
            Act::Append(block) => block,
            Act::Restore(block) => {
                state.behind = None;
                return self.tally.add_restored(block.entries.len());
            }
            _ => return,
        };
        state.appended(call.epoch, &block);
        self.tally.add_stored(block.entries.len(), unheard);
        for (task, entry) in tasks.into_iter().zip(block.entries) {
            let json = entry.event.json.clone();
            self.recent.push(entry);
            if let Task::Append(append) = task {
                append.finish(Ok(json), &self.tally);
            }
        }
    }

    /// What is left of a flight when the store was lost under it: what somebody waits for.
    pub(super) fn hold(&mut self, flight: Flight) -> Option<Flight> {
        if flight.tasks.is_empty() {
            self.list(flight.call.account);
            return None;
        }
        Some(flight)
    }
}

impl Account {
    /// The answer to a claim of the owner's, or to one of the writer's own.
    fn claimed(&mut self, call: &Call, tasks: Vec<Task>, head: LogHead) {
        let last = self.found(call.epoch, head.last);
        let mut head = Some(LogHead { last, ..head });
        for task in tasks {
            if let Task::Claim(answer) = task {
                claimed(answer, Ok(head.take().unwrap_or_default()));
            }
        }
    }

    fn appended(&mut self, epoch: Epoch, block: &Block) {
        self.head = Some((epoch, block.last()));
        for completion in block.entries.iter().filter_map(|entry| entry.completion.as_ref()) {
            self.said.ended(&completion.command);
        }
    }

    fn begun(&mut self, tasks: Vec<Task>, begun: Vec<AdmissionVerdict>) {
        for (task, begun) in tasks.into_iter().zip(begun) {
            let Task::Admit(beginning) = task else { continue };
            let run = matches!(beginning.asked.begin.intent, Intent::Run { .. });
            if run && begun == AdmissionVerdict::Proceed {
                self.said.handed_over(beginning.asked.clone());
            }
            beginning.finish(Ok(begun));
        }
    }

    /// Left, parked or noted.
    fn done(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            match &task {
                Task::UndoDispatch(command) => self.said.ended(command),
                Task::SetHead(note) => self.said.noted(*note),
                _ => {}
            }
            task.finish();
        }
    }
}
