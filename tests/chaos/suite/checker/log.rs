//! Event ids have no gaps, and an event that was once in the log is still there.

use std::collections::{BTreeMap, BTreeSet};

use super::super::evidence::{Event, Id};
use super::AccountCase;

pub(super) fn check(case: &AccountCase<'_>) -> Vec<String> {
    let mut violations = chain(case);
    violations.extend(missing(case));
    violations.extend(messages(case));
    violations.extend(unusable(case));
    violations
}

/// No fault makes an account unusable, unless its database was destroyed.
fn unusable(case: &AccountCase<'_>) -> Vec<String> {
    let end = |event: &Event| {
        let state = event.state.as_deref()?;
        let ended = ["failed", "session_lost"].contains(&state) && !case.evidence.destroyed;
        ended.then(|| format!("it is `{state}` by event {}", event.id))
    };
    case.evidence.seen.values().filter_map(|seen| end(&seen.event)).collect()
}

/// Each event names its predecessor, and its number follows.
fn chain(case: &AccountCase<'_>) -> Vec<String> {
    let log = &case.evidence.log;
    let excused = excused(case);
    let mut violations = Vec::new();
    if let Some(first) = log.first()
        && first.prev.is_some()
        && case.wipes.is_empty()
    {
        violations.push(format!("the log begins with {}, after another event", first.id));
    }
    for pair in log.windows(2) {
        let [before, event] = pair else { continue };
        if event.id <= before.id {
            violations.push(format!("event {} stands after {}", event.id, before.id));
        } else if event.prev != Some(before.id)
            && !event.prev.is_some_and(|id| excused.contains(&id))
        {
            violations.push(format!(
                "event {} names {} as the one before it, and stands after {}",
                event.id,
                event.prev.map_or_else(|| "none".to_owned(), |id| id.to_string()),
                before.id
            ));
        } else if !follows(event) {
            violations.push(format!("event {} is not numbered by one", event.id));
        }
    }
    violations
}

/// Whether an event's number is its predecessor's plus one, or the first of a new epoch.
fn follows(event: &Event) -> bool {
    let first = |prev: Id| if event.id.epoch == prev.epoch { prev.n + 1 } else { 1 };
    event.prev.is_none_or(|prev| event.id.n == first(prev))
}

/// Every event that the follower has seen is in the log, byte for byte.
fn missing(case: &AccountCase<'_>) -> Vec<String> {
    let excused = excused(case);
    let log: BTreeMap<Id, &Event> =
        case.evidence.log.iter().map(|event| (event.id, event)).collect();
    let mut violations = Vec::new();
    for (id, seen) in &case.evidence.seen {
        let how = if seen.live { "live" } else { "in the log" };
        let command = seen.event.command.as_deref().unwrap_or("no command");
        match log.get(id) {
            Some(event) if event.json == seen.event.json => {}
            Some(_) => violations.push(format!("event {id} ({command}) was another, seen {how}")),
            None if excused.contains(id) => {}
            None => violations.push(format!(
                "event {id} ({}, {command}) was seen {how} and is not in the log",
                seen.event.kind
            )),
        }
    }
    violations
}

/// Events that may be missing: Redis lost its data after they were seen, and the owner that had
/// appended them did not outlive the loss to append them again.
fn excused(case: &AccountCase<'_>) -> BTreeSet<Id> {
    let seen = &case.evidence.seen;
    let mut excused = BTreeSet::new();
    for (from, to) in case.wipes {
        let before = seen.values().filter(|seen| seen.at < *from).map(|seen| seen.event.id.epoch);
        let after = seen.values().filter(|seen| *to <= seen.at).map(|seen| seen.event.id.epoch);
        let survivor = before.max().filter(|epoch| after.min() == Some(*epoch));
        let lost = seen.values().filter(|seen| seen.at < *to);
        let ids = lost.map(|seen| seen.event.id).filter(|id| Some(id.epoch) != survivor);
        excused.extend(ids);
    }
    excused
}

/// Every incoming message has an event, unless a later `resync` says that events may be missing.
fn messages(case: &AccountCase<'_>) -> Vec<String> {
    if case.evidence.destroyed {
        return Vec::new();
    }
    let seen = || case.evidence.seen.values();
    let published: BTreeSet<&str> = seen().filter_map(|seen| seen.event.text.as_deref()).collect();
    let announced = |sent: u64| seen().any(|s| s.event.kind == "resync" && sent <= s.at);
    let missing = case.evidence.messages.iter();
    let missing =
        missing.filter(|(text, sent)| !published.contains(text.as_str()) && !announced(*sent));
    missing
        .map(|(text, _)| format!("message {text} has no event, and there is no resync after it"))
        .collect()
}
