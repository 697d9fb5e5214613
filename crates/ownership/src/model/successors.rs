//! The states that may follow a state.

use super::config::{ModelConfig, PROCESSES};
use super::state::ModelState;
use super::{clock, faults, network, process};

pub(super) fn successors(state: &ModelState, config: ModelConfig) -> Vec<ModelState> {
    let mut next = clock::steps(state, config);
    for at in 0..PROCESSES {
        next.extend(process::actions(state, at, config));
    }
    for at in 0..state.messages.len() {
        next.push(network::advance(state, at, config));
    }
    if state.faults > 0 {
        let faults = faults::faults(state, config);
        next.extend(
            faults.into_iter().map(|state| ModelState { faults: state.faults - 1, ..state }),
        );
    }
    for state in &mut next {
        state.normalize();
        state.check();
    }
    next
}
