//! Breadth-first search through the states, so that the shortest counterexample is found first.

use std::collections::HashSet;

use super::config::ModelConfig;
use super::state::ModelState;
use super::successors::successors;

/// The result of a search.
pub(super) struct SearchResult {
    /// How many states were examined.
    pub(super) states: usize,
    /// The first state that breaks an invariant, and the states that led to it.
    pub(super) violation: Option<String>,
    /// In some state a second process opened the shard after the first.
    taken_over: bool,
}

impl SearchResult {
    pub(super) fn assert_safe(&self) {
        if let Some(violation) = &self.violation {
            panic!("after {} states: {violation}", self.states);
        }
        assert!(self.taken_over, "the model never reaches a takeover");
        assert!(self.states > 10_000, "a model of {} states proves nothing", self.states);
    }
}

/// Most states examined: enough for every sequence of about twenty events.
const MAX_STATES: usize = 500_000;

pub(super) fn explore(config: ModelConfig) -> SearchResult {
    // Each known state, in the order of discovery, with the index of the state before it.
    let mut known = vec![(ModelState::new(config), 0)];
    let mut visited = HashSet::from([known[0].0.clone()]);
    let mut result = SearchResult { states: 0, violation: None, taken_over: false };
    while result.states < MAX_STATES
        && let Some((state, _)) = known.get(result.states).cloned()
    {
        let at = result.states;
        result.states += 1;
        result.taken_over |= state.openings > 1;
        if let Some(violation) = state.violation {
            result.violation = Some(format!("{violation}\n{}", trace(&known, at)));
            break;
        }
        for next in successors(&state, config) {
            if visited.insert(next.clone()) {
                known.push((next, at));
            }
        }
    }
    result
}

/// The states that led to the one at `at`, one per line.
fn trace(known: &[(ModelState, usize)], mut at: usize) -> String {
    let mut lines = vec![format!("{:?}", known[at].0)];
    while at != 0 {
        at = known[at].1;
        lines.push(format!("{:?}", known[at].0));
    }
    lines.reverse();
    lines.join("\n")
}
