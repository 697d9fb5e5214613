//! Breadth first through the states: the shortest stories first.

use std::collections::HashSet;

use super::{Setting, World};

/// What a search has found.
pub(super) struct Found {
    pub(super) states: usize,
    /// The first state that must not be, and those that led to it.
    pub(super) violation: Option<String>,
    /// Somewhere a second process opened what a first one had open.
    pub(super) taken_over: bool,
}

/// The states looked at, at most: every story of about twenty events.
const STATES: usize = 500_000;

pub(super) fn explore(setting: Setting) -> Found {
    // Each state that is known, by the order in which it was found, with the one before it.
    let mut known = vec![(World::new(setting), 0)];
    let mut places = HashSet::from([known[0].0.clone()]);
    let mut found = Found { states: 0, violation: None, taken_over: false };
    while found.states < STATES
        && let Some((world, _)) = known.get(found.states).cloned()
    {
        let at = found.states;
        found.states += 1;
        found.taken_over |= world.is_taken_over();
        if let Some(wrong) = world.wrong() {
            found.violation = Some(format!("{wrong}\n{}", story(&known, at)));
            break;
        }
        for next in world.successors(setting) {
            if places.insert(next.clone()) {
                known.push((next, at));
            }
        }
    }
    found
}

/// The states up to the one at `at`, a line each.
fn story(known: &[(World, usize)], mut at: usize) -> String {
    let mut lines = vec![format!("{:?}", known[at].0)];
    while at != 0 {
        at = known[at].1;
        lines.push(format!("{:?}", known[at].0));
    }
    lines.reverse();
    lines.join("\n")
}
