//! Effects at Telegram: in the order of publishing, at most once, and consistent with the answers.

use std::collections::BTreeMap;

use contracts::Flow;

use super::super::evidence::{CommandKind, Effect, Event, PublishedCommand};
use super::AccountCase;

/// Error codes that promise that nothing was done.
const NOTHING_DONE: &[&str] = &[
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

pub(super) fn check(case: &AccountCase<'_>) -> Vec<String> {
    let published = &case.evidence.published;
    let places: BTreeMap<_, _> = published
        .iter()
        .enumerate()
        .filter(|(_, command)| {
            matches!(command.kind, CommandKind::NotIdempotent | CommandKind::Idempotent)
        })
        .map(|(place, command)| ((command.kind as u8, command.number), place))
        .collect();
    let place = |effect: &Effect| places.get(&(effect.kind as u8, effect.number)).copied();
    let done: Vec<usize> = case.evidence.effects.iter().filter_map(place).collect();
    let mut violations = order(published, &done);
    let unasked = case.evidence.effects.iter().filter(|effect| place(effect).is_none());
    if !case.evidence.attacked
        && let Some(effect) = unasked.clone().next()
    {
        let (number, first) = (unasked.count(), effect.number);
        violations.push(format!("{number} effects that no command asked for, such as {first}"));
    }
    violations.extend(once(case, &done));
    violations.extend(as_answered(case, &done));
    violations
}

/// The effects of a flow are in the order in which its commands were published.
fn order(published: &[PublishedCommand], done: &[usize]) -> Vec<String> {
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

/// A command that is not idempotent takes effect once.
fn once(case: &AccountCase<'_>, done: &[usize]) -> Vec<String> {
    let mut times: BTreeMap<usize, u32> = BTreeMap::new();
    for place in done {
        *times.entry(*place).or_default() += 1;
    }
    let published = &case.evidence.published;
    times
        .into_iter()
        .map(|(place, times)| (&published[place], times))
        .filter(|(command, times)| 1 < *times && command.kind == CommandKind::NotIdempotent)
        .filter(|(command, _)| !lost_by_ledger(case, command))
        .map(|(command, times)| format!("command {} took effect {times} times", command.id))
        .collect()
}

/// Whether a copy was published after Redis had lost the ledger's entry of the first.
fn lost_by_ledger(case: &AccountCase<'_>, command: &PublishedCommand) -> bool {
    case.wipes.iter().any(|(from, to)| {
        command.attempts.iter().any(|at| at < to) && command.attempts.iter().any(|at| from < at)
    })
}

/// Every success has its effect, every effect has an answer, and no answer denies an effect.
fn as_answered(case: &AccountCase<'_>, done: &[usize]) -> Vec<String> {
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
            Some((event, Some(code))) if effect && NOTHING_DONE.contains(&code) => {
                Some(format!("command {id} took effect and is answered `{code}` by {event}"))
            }
            Some((event, None))
                if !effect
                    && matches!(
                        command.kind,
                        CommandKind::NotIdempotent | CommandKind::Idempotent
                    ) =>
            {
                Some(format!("command {id} is answered as done by {event} and is not"))
            }
            _ => None,
        });
    }
    violations
}
