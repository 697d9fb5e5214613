//! Time passes.

use super::config::{ANSWER_TIMEOUT, BrokenRule, MAX_AGE, ModelConfig, NEVER, PROCESSES, TIMES};
use super::state::{ModelMessage, ModelState, ProcessPhase, moment};

/// A step of time: for all processes, or for all but one whose clock is slow.
pub(super) fn steps(state: &ModelState, config: ModelConfig) -> Vec<ModelState> {
    let slow = if state.faults > 0 && !state.slowed { PROCESSES } else { 0 };
    std::iter::once(None).chain((0..slow).map(Some)).map(|slow| step(state, slow, config)).collect()
}

fn step(state: &ModelState, slow: Option<usize>, config: ModelConfig) -> ModelState {
    let mut state = state.clone();
    observe(&mut state);
    state.stored = state.record;
    if slow.is_some() {
        state.faults -= 1;
        state.slowed = true;
    }
    age(&mut state, slow);
    for at in 0..PROCESSES {
        let late = |message: &ModelMessage| message.age >= ANSWER_TIMEOUT;
        if state.messages.iter().any(|message| message.is_awaited_by(at) && late(message)) {
            state.give_up(at);
        }
    }
    for at in 0..PROCESSES {
        if is_overdue(&state, at, config) {
            state.restart(at);
        }
    }
    state
}

/// Every process reads the record once per step: at its end, when a new record is as young as it
/// can be.
fn observe(state: &mut ModelState) {
    for process in &mut state.processes {
        if process.seen.is_none_or(|(seen, _)| seen != state.record) {
            process.seen = Some((state.record, 0));
        }
    }
}

fn age(state: &mut ModelState, slow: Option<usize>) {
    let grow = |age: &mut u8| *age = (*age + 1).min(MAX_AGE);
    grow(&mut state.uptime);
    for (at, process) in state.processes.iter_mut().enumerate() {
        if Some(at) == slow {
            continue;
        }
        if let ProcessPhase::Open { age, .. } = &mut process.phase {
            grow(age);
        }
        if let Some((_, age)) = &mut process.seen {
            grow(age);
        }
    }
    for message in &mut state.messages {
        if message.expires_in != NEVER {
            message.expires_in = message.expires_in.saturating_sub(1);
        }
        if message.awaited && Some(message.from) != slow {
            grow(&mut message.age);
        }
    }
}

/// The watchdog ends the process. The model does not rely on it on one machine, where a process may
/// be frozen, or keep running, for any length of time.
fn is_overdue(state: &ModelState, at: usize, config: ModelConfig) -> bool {
    let ProcessPhase::Open { age, .. } = state.processes[at].phase else { return false };
    let watched = !config.shared_lock && !config.breaks(BrokenRule::NoWatchdog);
    watched && moment(age) >= TIMES.ends_at(moment(0))
}
