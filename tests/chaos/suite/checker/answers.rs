//! Every confirmed command has exactly one answer, is done in the ledger, and is pending nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::super::evidence::{Id, PublishedCommand};
use super::AccountCase;

/// How the ids of the commands that log an account in begin.
const LOGIN: [&str; 2] = ["start-", "send_code-"];

pub(super) fn check(case: &AccountCase<'_>) -> Vec<String> {
    let answers = answers(case);
    let mut violations = Vec::new();
    for command in &case.evidence.published {
        violations.extend(answered(command, answers.get(command.id.as_str())));
        violations.extend(settled(case, command, answers.get(command.id.as_str())));
    }
    violations.extend(unasked(case, answers.keys().copied()));
    if 0 < case.evidence.pending {
        violations
            .push(format!("{} commands are still in the pending lists", case.evidence.pending));
    }
    violations
}

/// No account answers a command that was not published for it.
fn unasked<'a>(case: &AccountCase<'_>, answered: impl Iterator<Item = &'a str>) -> Option<String> {
    let published: BTreeSet<&str> =
        case.evidence.published.iter().map(|command| command.id.as_str()).collect();
    let login = |id: &str| LOGIN.iter().any(|step| id.starts_with(step));
    let unknown: Vec<&str> = answered.filter(|id| !published.contains(id) && !login(id)).collect();
    let number = unknown.len();
    (!case.evidence.attacked && 0 < number)
        .then(|| format!("it answers {number} commands that nobody published: {unknown:?}"))
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
