//! The states that may follow a state.

use super::clock::steps;
use super::config::{ModelConfig, PROCESSES};
use super::faults::faults;
use super::network::advance;
use super::process::actions;
use super::state::ModelState;

pub(super) fn successors(state: &ModelState, config: ModelConfig) -> Vec<ModelState> {
    let mut next = steps(state, config);
    for at in 0..PROCESSES {
        next.extend(actions(state, at, config));
    }
    for at in 0..state.messages.len() {
        next.push(advance(state, at, config));
    }
    if state.faults > 0 {
        let faulty = faults(state, config);
        next.extend(
            faulty.into_iter().map(|state| ModelState { faults: state.faults - 1, ..state }),
        );
    }
    for state in &mut next {
        state.normalize();
        state.check();
    }
    next
}
