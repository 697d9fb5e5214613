//! The accounts' state: where each log ends, what waits, what was stored lately. No I/O here.

use std::collections::HashMap;

use contracts::AccountId;
use tokio::sync::oneshot;
use tracing::warn;

use crate::error::NotStored;
use crate::store::{Act, Block, Call, Verdict};
use crate::writer::account::{Account, Behind, Step, Task, Trouble};
use crate::writer::encode::Encoder;
use crate::writer::flight::{Cargo, Flight, Job};
use crate::writer::recent::Recent;
use crate::writer::tally::Tally;

pub(super) struct Books {
    accounts: HashMap<AccountId, Account>,
    /// Accounts with work waiting, in the order it came.
    busy: Vec<AccountId>,
    /// Accounts whose last call the store refused.
    troubled: Vec<AccountId>,
    recent: Recent,
    flushes: Vec<oneshot::Sender<()>>,
    tally: Tally,
}

impl Books {
    pub(super) fn new(tally: Tally) -> Self {
        Self {
            accounts: HashMap::new(),
            busy: Vec::new(),
            troubled: Vec::new(),
            recent: Recent::default(),
            flushes: Vec::new(),
            tally,
        }
    }

    /// Puts a job into its account's line.
    pub(super) fn take(&mut self, job: Job) {
        let (account, task, known) = match job {
            Job::Append(append) => {
                let known = append.known;
                (append.event.account, Task::Append(append), known)
            }
            Job::Claim(claim) => (claim.account, Task::Claim(claim), true),
            Job::Flush(flush) => return self.flushes.push(flush),
        };
        let state = self.accounts.entry(account).or_default();
        state.known |= known;
        state.waiting.push_back(task);
        self.list(account);
    }

    fn list(&mut self, account: AccountId) {
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
            match state.next(&self.tally) {
                Some(Step::Append { epoch, prev, appends }) => {
                    encoder.add(account, epoch, prev, appends);
                }
                Some(Step::Claim { epoch, cargo }) => {
                    let call = Call { account, epoch, known: state.known, act: Act::Claim };
                    flights.push(Flight { call, cargo });
                }
                None => {}
            }
        }
        flights.extend(encoder.finish());
        flights
    }

    /// Calls that compare every head with what was stored: for a store that was away.
    pub(super) fn claims(&self) -> Vec<Flight> {
        let claim = |(&account, state): (&AccountId, &Account)| {
            let (epoch, _) = state.head?;
            let call = Call { account, epoch, known: state.known, act: Act::Claim };
            Some(Flight { call, cargo: Cargo::Nothing })
        };
        self.accounts.iter().filter_map(claim).collect()
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
            let prev = missing.first().map_or(last, |first| first.prev);
            events += missing.len();
            incomplete += usize::from(prev != their_last);
            let act = Act::Restore(Block::new(prev, missing));
            let call = Call { account, epoch, known: state.known, act };
            flights.push(Flight { call, cargo: Cargo::Nothing });
        }
        warn!(
            accounts = flights.len(),
            events, incomplete, "redis has lost events; appending again what is still in memory"
        );
        flights
    }

    /// Takes note of a verdict, and tells whoever waits for it.
    pub(super) fn land(&mut self, flight: Flight, verdict: Verdict) {
        let Flight { call, cargo } = flight;
        let (account, epoch) = (call.account, call.epoch);
        let state = self.accounts.entry(account).or_default();
        match verdict {
            Verdict::Claimed { last } => {
                state.accepted(account);
                let last = state.found(epoch, last);
                if let Cargo::Claim(claim) = cargo {
                    claim.finish(Ok(last));
                }
            }
            Verdict::Stored { unheard } => self.stored(call, cargo, unheard),
            Verdict::Already => self.stored(call, cargo, 0),
            Verdict::Fenced { current } => {
                warn!(account.id = %account, %epoch, %current, "a newer owner has the account's log");
                (state.head, state.behind, state.trouble) = (None, None, Trouble::No);
                cargo.fail(NotStored::Fenced { current }, &self.tally);
            }
            Verdict::Gap { last } => {
                state.give_back(cargo);
                state.found(epoch, last);
                if state.behind.is_none() {
                    warn!(account.id = %account, %epoch, "somebody else writes under this epoch");
                }
            }
            Verdict::Refused(reason) => {
                state.give_back(cargo);
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

    fn stored(&mut self, call: Call, cargo: Cargo, unheard: u64) {
        let Some(state) = self.accounts.get_mut(&call.account) else { return };
        state.accepted(call.account);
        let block = match call.act {
            Act::Append(block) => block,
            Act::Restore(block) => {
                state.behind = None;
                return self.tally.add_restored(block.events.len());
            }
            Act::Claim => return,
        };
        let newest = block.events.last().map(|event| event.id);
        state.head = Some((call.epoch, newest));
        self.tally.add_stored(block.events.len(), unheard);
        if let Cargo::Appends(appends) = cargo {
            for (append, event) in appends.into_iter().zip(block.events) {
                self.recent.push(event.clone());
                append.finish(Ok(event), &self.tally);
            }
        }
    }

    /// What is left of a flight when the store was lost under it: what somebody waits for.
    pub(super) fn hold(&mut self, flight: Flight) -> Option<Flight> {
        if matches!(flight.cargo, Cargo::Nothing) {
            self.list(flight.call.account);
            return None;
        }
        Some(flight)
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
        flight.cargo.fail(NotStored::Closed, &self.tally);
    }

    pub(super) fn close_all(&mut self) {
        for (_, state) in self.accounts.drain() {
            for task in state.waiting {
                task.fail(NotStored::Closed, &self.tally);
            }
        }
    }
}
