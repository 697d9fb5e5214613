//! Tries every order of events that a small world allows against the rules of [`crate::rules`].
//!
//! Two processes, one shard, one Redis, time in steps. Requests are late, lost before they are
//! applied, or their answers are lost; processes crash and start again; a clock is slow; Redis
//! loses everything, or its last write. Whatever happens, only one process at a time has the
//! shard's databases open, and each opening has a larger epoch than the one before.
//!
//! To prove that the model allows enough to go wrong, the rules are also broken one by one: each
//! time it must find two processes with the shard open, or an epoch that does not grow.

mod clock;
mod config;
mod explore;
mod faults;
mod network;
mod process;
mod state;
mod successors;

use config::{BrokenRule, ModelConfig};
use explore::explore;

/// Both processes on one machine, kept apart by a file lock. A process may be frozen for any length
/// of time and then continue.
fn one_machine() -> ModelConfig {
    ModelConfig { shared_lock: true, broken: None, faults: 1, openings: 2 }
}

/// Two machines with one disk, kept apart only by the lease. A process that does not close in time
/// is ended by its watchdog or, if it is frozen, from outside.
fn two_machines() -> ModelConfig {
    ModelConfig { shared_lock: false, openings: 3, ..one_machine() }
}

#[test]
fn on_one_machine_no_order_of_events_makes_two_owners() {
    explore(one_machine()).assert_safe();
}

#[test]
fn on_two_machines_no_order_of_events_makes_two_owners() {
    explore(two_machines()).assert_safe();
}

#[test]
fn every_broken_rule_is_found() {
    let cases = [
        (two_machines(), BrokenRule::CandidateDoesNotWait),
        (two_machines(), BrokenRule::OwnerCountsFromAnswer),
        (two_machines(), BrokenRule::NoWatchdog),
        (two_machines(), BrokenRule::NetworkDiskLockIsProof),
        (two_machines(), BrokenRule::WaitSurvivesReconnect),
        (two_machines(), BrokenRule::FreeAfterRestartIsFree),
        (two_machines(), BrokenRule::LateRenewalCounts),
        (two_machines(), BrokenRule::AcquireDoesNotCompare),
        (one_machine(), BrokenRule::NoFileLock),
        (one_machine(), BrokenRule::EpochFromRecordAlone),
    ];
    for (config, broken) in cases {
        let result = explore(ModelConfig { broken: Some(broken), ..config });
        assert!(result.violation.is_some(), "not found: {broken:?}, in {} states", result.states);
    }
}
