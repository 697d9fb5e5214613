//! What may go wrong: a process crashes, Redis forgets.

use super::config::{BrokenRule, ModelConfig, PROCESSES};
use super::state::{ModelState, ProcessPhase};

pub(super) fn faults(state: &ModelState, config: ModelConfig) -> Vec<ModelState> {
    let crash = |at| {
        let mut state = state.clone();
        state.restart(at);
        state
    };
    let mut next: Vec<ModelState> = (0..PROCESSES).map(crash).collect();
    next.push(ModelState { record: None, stored: None, ..state.clone() });
    next.push(restart_redis(state.clone(), config));
    next
}

/// Redis restarts from what it had stored. Requests on their way to it are lost, and every process
/// starts to observe from scratch.
fn restart_redis(mut state: ModelState, config: ModelConfig) -> ModelState {
    state.record = state.stored;
    state.messages.retain(|message| message.answer.is_some());
    state.uptime = 0;
    for at in 0..PROCESSES {
        if state.processes[at].phase == ProcessPhase::Acquiring && !state.is_waiting(at) {
            state.processes[at].phase = ProcessPhase::Idle;
        }
    }
    if !config.breaks(BrokenRule::WaitSurvivesReconnect) {
        state.processes.iter_mut().for_each(|process| process.seen = None);
    }
    state
}
