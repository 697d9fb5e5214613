//! What Telegram did: in the order of the publishes, once, and as it was answered.

use std::collections::BTreeMap;

use contracts::Flow;

use super::super::record::{Deed, Effect, Event, Published};
use super::Case;

/// Failures that say that nothing was done.
const UNDONE: &[&str] = &[
    "invalid_request",
    "unknown_command",
    "unknown_account",
    "not_ready",
    "busy",
    "not_owner",
    "expired",
    "flood_wait",
    "not_allowed",
];

pub(super) fn check(case: &Case<'_>) -> Vec<String> {
    let published = &case.evidence.published;
    let places: BTreeMap<_, _> = published
        .iter()
        .enumerate()
        .filter(|(_, command)| matches!(command.deed, Deed::Once | Deed::Again))
        .map(|(place, command)| ((command.deed as u8, command.number), place))
        .collect();
    let place = |effect: &Effect| places.get(&(effect.deed as u8, effect.number)).copied();
    let done: Vec<usize> = case.evidence.effects.iter().filter_map(place).collect();
    let mut violations = order(published, &done);
    violations.extend(once(case, &done));
    violations.extend(as_answered(case, &done));
    violations
}

/// The effects of a flow come in the order of its publishes.
fn order(published: &[Published], done: &[usize]) -> Vec<String> {
    let mut violations = Vec::new();
    for flow in Flow::ALL {
        let places: Vec<usize> =
            done.iter().copied().filter(|place| published[*place].flow == flow).collect();
        for pair in places.windows(2) {
            if let [before, after] = pair
                && after < before
            {
                let (before, after) = (&published[*before].id, &published[*after].id);
                violations
                    .push(format!("command {after} took effect after {before}, published later"));
            }
        }
    }
    violations
}

/// What must not happen twice has not.
fn once(case: &Case<'_>, done: &[usize]) -> Vec<String> {
    let mut times: BTreeMap<usize, u32> = BTreeMap::new();
    for place in done {
        *times.entry(*place).or_default() += 1;
    }
    let published = &case.evidence.published;
    times
        .into_iter()
        .map(|(place, times)| (&published[place], times))
        .filter(|(command, times)| 1 < *times && command.deed == Deed::Once)
        .filter(|(command, _)| !forgotten(case, command))
        .map(|(command, times)| format!("command {} took effect {times} times", command.id))
        .collect()
}

/// Whether a copy was published after Redis had lost what the ledger knew of the first.
fn forgotten(case: &Case<'_>, command: &Published) -> bool {
    case.wipes.iter().any(|(from, to)| {
        command.attempts.iter().any(|at| at < to) && command.attempts.iter().any(|at| from < at)
    })
}

/// A success has its effect, an effect its answer, and no answer denies what was done.
fn as_answered(case: &Case<'_>, done: &[usize]) -> Vec<String> {
    let mut answers: BTreeMap<&str, &Event> = BTreeMap::new();
    for event in case.evidence.seen.values().map(|seen| &seen.event).chain(&case.evidence.log) {
        if let Some(command) = &event.command {
            answers.insert(command, event);
        }
    }
    let mut violations = Vec::new();
    for (place, command) in case.evidence.published.iter().enumerate() {
        let effect = done.contains(&place);
        let (id, answer) = (&command.id, answers.get(command.id.as_str()));
        violations.extend(match answer.map(|event| (event.id, event.code.as_deref())) {
            None if effect => Some(format!("command {id} took effect without an answer")),
            Some((event, Some(code))) if effect && UNDONE.contains(&code) => {
                Some(format!("command {id} took effect and is answered `{code}` by {event}"))
            }
            Some((event, None)) if !effect && matches!(command.deed, Deed::Once | Deed::Again) => {
                Some(format!("command {id} is answered as done by {event} and is not"))
            }
            _ => None,
        });
    }
    violations
}
