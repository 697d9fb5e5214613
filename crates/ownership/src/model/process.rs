//! What a process may do.

use std::time::Duration;

use super::config::{BrokenRule, ModelConfig, NEVER, TIMES};
use super::state::{CompactRecord, ModelRequest, ModelState, ProcessPhase, lock_identity, moment};
use crate::rules::{LeaseCandidate, may_acquire, next_epoch};

pub(super) fn actions(state: &ModelState, at: usize, config: ModelConfig) -> Vec<ModelState> {
    let mut next = Vec::new();
    match state.processes[at].phase {
        ProcessPhase::Idle => next.extend(acquire(state, at, config)),
        ProcessPhase::Acquiring => {}
        ProcessPhase::Open { .. } => {
            next.extend(renew(state, at, config));
            next.extend(release(state, at));
        }
    }
    // The answer may still arrive, but the process stops waiting.
    if state.messages.iter().any(|message| message.is_awaited_by(at) && message.age > 0) {
        let mut state = state.clone();
        state.give_up(at);
        next.push(state);
    }
    next
}

fn acquire(state: &ModelState, at: usize, config: ModelConfig) -> Option<ModelState> {
    let process = &state.processes[at];
    // A process acquires what it has observed a moment before.
    let (seen, age) = process.seen.filter(|(seen, _)| *seen == state.record)?;
    let locks = config.lock() != 0 && !config.breaks(BrokenRule::NoFileLock);
    let locked = state.processes.iter().any(|other| other.phase != ProcessPhase::Idle);
    if (config.shared_lock && locks && locked)
        || state.is_waiting(at)
        || state.openings >= config.openings
    {
        return None;
    }
    let unchanged = if config.breaks(BrokenRule::CandidateDoesNotWait) {
        TIMES.takeover_wait()
    } else {
        Duration::from_secs(age.into())
    };
    let record = seen.map(CompactRecord::expand);
    let lock = lock_identity(if locks { config.lock() } else { 0 });
    let redis_steady = moment(state.uptime) >= moment(0).after(TIMES.takeover_wait())
        || config.breaks(BrokenRule::FreeAfterRestartIsFree);
    let candidate = LeaseCandidate { store: "store", lock: &lock, redis_steady };
    if !may_acquire(record.as_ref(), candidate, unchanged, TIMES) {
        return None;
    }
    let file = if config.breaks(BrokenRule::EpochFromRecordAlone) { 0 } else { state.file };
    let epoch = next_epoch(record.as_ref(), file.into(), 0);
    let epoch = u8::try_from(epoch).expect("few openings");
    let record = CompactRecord { epoch, owner: process.name, heartbeat: 0, lock: config.lock() };
    let mut state = state.clone();
    state.processes[at].phase = ProcessPhase::Acquiring;
    state.send(at, ModelRequest::Acquire { expected: seen, record }, NEVER);
    Some(state)
}

fn renew(state: &ModelState, at: usize, config: ModelConfig) -> Option<ModelState> {
    let process = &state.processes[at];
    let ProcessPhase::Open { epoch, heartbeat, age } = process.phase else { return None };
    if state.is_waiting(at) || heartbeat >= 1 || age == 0 {
        return None;
    }
    let heartbeat = heartbeat + 1;
    let record = CompactRecord { epoch, owner: process.name, heartbeat, lock: config.lock() };
    let mut state = state.clone();
    state.processes[at].phase = ProcessPhase::Open { epoch, heartbeat, age };
    // Counted from the previous answer. A process that is late reads once more and then has the
    // whole lease again.
    let lease = u8::try_from(TIMES.lease.as_secs()).expect("a few steps");
    let left = if age < lease { lease - age } else { lease };
    let expires_in = if config.breaks(BrokenRule::LateRenewalCounts) { NEVER } else { left };
    state.send(at, ModelRequest::Renew { record }, expires_in);
    Some(state)
}

/// The process closes and unlocks the shard. Redis learns of it at some time, or never.
fn release(state: &ModelState, at: usize) -> Option<ModelState> {
    let ProcessPhase::Open { epoch, age, .. } = state.processes[at].phase else { return None };
    let late = moment(age) >= TIMES.closes_at(moment(0));
    if !late && !state.may_hand_over {
        return None;
    }
    let mut state = state.clone();
    state.may_hand_over &= late;
    state.forget_answers(at);
    state.processes[at].phase = ProcessPhase::Idle;
    let owner = state.processes[at].name;
    state.send(at, ModelRequest::Free { owner, epoch }, NEVER);
    Some(state)
}
