//! The accounts' state: where each log ends, what waits, what was stored lately. No I/O here;
//! `land` is the other half, what becomes of the calls.

use std::collections::HashMap;
use std::time::Duration;

use contracts::AccountId;
use runtime::Clock;
use tokio::sync::oneshot;
use tracing::warn;

use crate::store::{Act, Block, Call};
use crate::writer::account::{Account, Behind, Run, Trouble};
use crate::writer::encode::Encoder;
use crate::writer::flight::{Flight, Job, Task};
use crate::writer::recent::Recent;
use crate::writer::tally::Tally;
use log_port::NotStored;

/// How often events that are too old are dropped from the log of an account that appends.
const TRIM_EVERY: Duration = Duration::from_mins(1);

pub(crate) struct Books {
    pub(super) accounts: HashMap<AccountId, Account>,
    /// Accounts with work waiting, in the order it came.
    busy: Vec<AccountId>,
    /// Accounts whose last call the store refused.
    pub(super) troubled: Vec<AccountId>,
    pub(super) recent: Recent,
    /// The store turned out to have lost events.
    pub(super) lost: bool,
    flushes: Vec<oneshot::Sender<()>>,
    pub(super) tally: Tally,
    /// How long an event is kept, by its time.
    max_age: Duration,
    clock: Clock,
}

impl Books {
    pub(crate) fn new(tally: Tally, max_age: Duration) -> Self {
        Self {
            accounts: HashMap::new(),
            busy: Vec::new(),
            troubled: Vec::new(),
            recent: Recent::default(),
            lost: false,
            flushes: Vec::new(),
            tally,
            max_age,
            clock: Clock::system(),
        }
    }

    /// Puts a job into its account's line.
    pub(super) fn take(&mut self, job: Job) {
        let (owner, task) = match job {
            Job::Task(owner, task) => (owner, task),
            Job::Flush(flush) => return self.flushes.push(flush),
        };
        let state = self.accounts.entry(owner.account).or_default();
        state.served |= owner.served;
        state.waiting.push_back((owner, task));
        self.list(owner.account);
    }

    pub(super) fn list(&mut self, account: AccountId) {
        if let Some(state) = self.accounts.get_mut(&account)
            && state.is_due()
            && !state.listed
        {
            state.listed = true;
            self.busy.push(account);
        }
    }

    /// The next call of every account that has work waiting.
    pub(super) fn take_off(&mut self) -> Vec<Flight> {
        let mut flights = Vec::new();
        let mut encoder = Encoder::default();
        for account in std::mem::take(&mut self.busy) {
            let Some(state) = self.accounts.get_mut(&account) else { continue };
            state.listed = false;
            if !state.is_due() {
                continue;
            }
            let Some(run) = state.next(&self.tally) else { continue };
            if let Some(Task::Append(_)) = run.tasks.first() {
                let drop_before = self.drop_before(account);
                encoder.add(account, run, drop_before);
            } else {
                let act = state.act(&run.tasks);
                let Run { epoch, served, last, tasks } = run;
                flights.push(Flight { call: Call { account, epoch, served, last, act }, tasks });
            }
        }
        flights.extend(encoder.finish());
        flights
    }

    /// The time before which events are too old, once a minute.
    fn drop_before(&mut self, account: AccountId) -> Option<i64> {
        let state = self.accounts.get_mut(&account)?;
        if state.trimmed.elapsed() < TRIM_EVERY {
            return None;
        }
        state.trimmed = tokio::time::Instant::now();
        let max_age = i64::try_from(self.max_age.as_millis()).unwrap_or(i64::MAX);
        Some(self.clock.now().as_millisecond().saturating_sub(max_age))
    }

    /// Calls that compare every head with what was stored: for a store that was away.
    pub(super) fn claims(&self) -> Vec<Flight> {
        let claim = |(&account, state): (&AccountId, &Account)| {
            let (epoch, _) = state.head?;
            let act = Act::Claim { pending: false };
            let call = Call { account, epoch, served: state.served, last: None, act };
            Some(Flight { call, tasks: Vec::new() })
        };
        self.accounts.iter().filter_map(claim).collect()
    }

    /// Calls that say again what a store may have lost beside events, in rounds of one call per
    /// account.
    pub(super) fn repeats(&self) -> Vec<Vec<Flight>> {
        let mut rounds: Vec<Vec<Flight>> = Vec::new();
        for (&account, state) in &self.accounts {
            let Some((epoch, last)) = state.head else { continue };
            for (round, act) in state.said.again().into_iter().enumerate() {
                let call = Call { account, epoch, served: state.served, last, act };
                if rounds.len() <= round {
                    rounds.push(Vec::new());
                }
                rounds[round].push(Flight { call, tasks: Vec::new() });
            }
        }
        rounds
    }

    /// Calls that append again what the store has lost.
    pub(super) fn restores(&mut self) -> Vec<Flight> {
        let behind = |account: &AccountId| {
            let state = self.accounts.get(account).filter(|state| state.is_due())?;
            let Behind(their_last) = state.behind?;
            Some((*account, their_last))
        };
        let behind: HashMap<_, _> = self.busy.iter().filter_map(behind).collect();
        if behind.is_empty() {
            return Vec::new();
        }
        let mut recent = self.recent.after(&behind);
        let (mut flights, mut events, mut incomplete) = (Vec::new(), 0, 0);
        for (account, their_last) in behind {
            let Some(state) = self.accounts.get(&account) else { continue };
            let Some((epoch, last)) = state.head else { continue };
            let missing = recent.remove(&account).unwrap_or_default();
            let last = missing.first().map_or(last, |first| first.event.prev);
            events += missing.len();
            incomplete += usize::from(last != their_last);
            let act = Act::Restore(Block::new(missing));
            let call = Call { account, epoch, served: state.served, last, act };
            flights.push(Flight { call, tasks: Vec::new() });
        }
        warn!(
            accounts = flights.len(),
            events, incomplete, "redis has lost events; appending again what is still in memory"
        );
        flights
    }

    /// Makes the refused calls due again.
    pub(super) fn retry_refused(&mut self) {
        for account in std::mem::take(&mut self.troubled) {
            if let Some(state) = self.accounts.get_mut(&account)
                && state.trouble == Trouble::Waiting
            {
                state.trouble = Trouble::Retrying;
                self.list(account);
            }
        }
    }

    /// To be called when nothing is under way.
    pub(super) fn answer_flushes(&mut self) {
        if self.troubled.is_empty() {
            for flush in self.flushes.drain(..) {
                // Whoever asked may have stopped waiting.
                flush.send(()).ok();
            }
        }
    }

    pub(super) fn close(&self, flight: Flight) {
        flight.tasks.into_iter().for_each(|task| task.fail(NotStored::Closed, &self.tally));
    }

    pub(super) fn close_all(&mut self) {
        for (_, task) in self.accounts.drain().flat_map(|(_, state)| state.waiting) {
            task.fail(NotStored::Closed, &self.tally);
        }
    }
}
