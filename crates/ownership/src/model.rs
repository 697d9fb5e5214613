//! Every order of events that a small world allows, tried out on the rules of [`crate::rules`].
//!
//! Two processes, one shard, one Redis, time in steps. Requests are late, lost before they are
//! carried out, or lost on the way back; processes crash and start again; a clock is slow;
//! Redis forgets, or goes back to what it had. Whatever happens, the shard's databases are open in
//! one process at a time and each opening has a larger epoch than the one before. So that a model
//! that allows too little does not go unnoticed, rules are broken one by one as well: then it must
//! find how two have the shard open.

mod explore;
mod setting;
mod world;

use explore::{Found, explore};
use setting::{Broken, Setting};
use world::World;

/// Both on one machine: a file lock keeps them apart. A process may be frozen for as long as it
/// likes, and go on then.
fn one_machine() -> Setting {
    Setting { shared_lock: true, broken: None, faults: 1, openings: 2 }
}

/// On two machines with one disk: the lease alone keeps them apart. A process that is not closed in
/// time is ended, by its watchdog or, when it is frozen, from outside.
fn two_machines() -> Setting {
    Setting { shared_lock: false, openings: 3, ..one_machine() }
}

#[test]
fn on_one_machine_nothing_makes_two_owners() {
    let found = explore(one_machine());
    found.assert_safe();
}

#[test]
fn on_two_machines_nothing_makes_two_owners() {
    let found = explore(two_machines());
    found.assert_safe();
}

#[test]
fn a_broken_rule_is_found() {
    let cases = [
        (two_machines(), Broken::TakerDoesNotWait),
        (two_machines(), Broken::OwnerCountsFromTheAnswer),
        (two_machines(), Broken::NoWatchdog),
        (two_machines(), Broken::LockOfANetworkDiskIsProof),
        (two_machines(), Broken::WaitGoesOnAfterAReconnect),
        (two_machines(), Broken::FreeIsFreeAfterARestart),
        (two_machines(), Broken::LateRenewalCounts),
        (two_machines(), Broken::TakeComparesNothing),
        (one_machine(), Broken::NoFileLock),
        (one_machine(), Broken::EpochOfTheRecordAlone),
    ];
    for (setting, broken) in cases {
        let found = explore(Setting { broken: Some(broken), ..setting });
        assert!(found.violation.is_some(), "not found: {broken:?}, in {} states", found.states);
    }
}

impl Found {
    fn assert_safe(&self) {
        if let Some(violation) = &self.violation {
            panic!("after {} states: {violation}", self.states);
        }
        assert!(self.taken_over, "the model never gets as far as a take-over");
        assert!(self.states > 10_000, "a model of {} states shows nothing", self.states);
    }
}
