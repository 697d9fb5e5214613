//! Every confirmed command has exactly one answer, is done in the ledger, and is pending nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::super::evidence::{Id, PublishedCommand};
use super::AccountCase;

pub(super) fn check(case: &AccountCase<'_>) -> Vec<String> {
    let answers = answers(case);
    let mut violations = Vec::new();
    for command in &case.evidence.published {
        violations.extend(answered(command, answers.get(command.id.as_str())));
        violations.extend(settled(case, command, answers.get(command.id.as_str())));
    }
    if 0 < case.evidence.pending {
        violations
            .push(format!("{} commands are still in the pending lists", case.evidence.pending));
    }
    violations
}

/// The events that answer each command, seen live or found in the log.
fn answers<'a>(case: &'a AccountCase<'_>) -> BTreeMap<&'a str, BTreeSet<Id>> {
    let mut answers: BTreeMap<&str, BTreeSet<Id>> = BTreeMap::new();
    let seen = case.evidence.seen.values().map(|seen| &seen.event);
    for event in seen.chain(&case.evidence.log) {
        if let Some(command) = &event.command {
            answers.entry(command).or_default().insert(event.id);
        }
    }
    answers
}

fn answered(command: &PublishedCommand, events: Option<&BTreeSet<Id>>) -> Option<String> {
    let id = &command.id;
    match events.map_or(0, BTreeSet::len) {
        0 if command.confirmed.is_some() => Some(format!("command {id} has no answer")),
        0 | 1 => None,
        _ => {
            let events: Vec<_> = events.into_iter().flatten().map(Id::to_string).collect();
            Some(format!("command {id} is answered by the events {}", events.join(", ")))
        }
    }
}

/// The ledger has the command as done, with its answer's id. Entries that Redis lost are excused.
fn settled(
    case: &AccountCase<'_>,
    command: &PublishedCommand,
    events: Option<&BTreeSet<Id>>,
) -> Option<String> {
    let id = &command.id;
    let lost = case.last_wipe().is_some_and(|wipe| command.attempts.iter().any(|at| *at <= wipe));
    let event = events.and_then(BTreeSet::first);
    match (case.evidence.ledger.get(id), event) {
        (None, None) => None,
        (None, Some(_)) if lost => None,
        (None, Some(event)) => {
            Some(format!("command {id}, answered by {event}, is not in the ledger"))
        }
        (Some(entry), event) => {
            let done = event.is_some_and(|event| {
                entry.starts_with("d ") && entry.ends_with(&format!(" {event}"))
            });
            (!done).then(|| format!("the ledger still has command {id} as `{entry}`"))
        }
    }
}
