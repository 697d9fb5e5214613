//! Everything known about one account, in order of time, for finding the cause of a violation.

use super::evidence::{AccountEvidence, Ms};

/// One line for each thing that happened, with its time and the milliseconds since the first.
pub(crate) fn describe(account: &AccountEvidence) -> String {
    let mut lines: Vec<(Ms, String)> = Vec::new();
    for command in &account.published {
        let name =
            format!("{} ({:?} {}, {})", command.id, command.kind, command.number, command.flow);
        lines.extend(command.attempts.iter().map(|at| (*at, format!("publish   {name}"))));
        lines.extend(command.confirmed.map(|at| (at, format!("confirmed {name}"))));
    }
    for effect in &account.effects {
        lines.push((effect.at, format!("effect    {:?} {}", effect.kind, effect.number)));
    }
    for seen in account.seen.values() {
        let event = &seen.event;
        let [command, code] =
            [&event.command, &event.code].map(|text| text.as_deref().unwrap_or("-"));
        let how = if seen.live { "event    " } else { "in log   " };
        let prev = event.prev.map_or_else(|| "-".to_owned(), |id| id.to_string());
        lines.push((
            seen.at,
            format!("{how} {} after {prev}: {} {command} {code}", event.id, event.kind),
        ));
    }
    lines.sort();
    let first = lines.first().map_or(0, |(at, _)| *at);
    let line = |(at, what): &(Ms, String)| format!("{at} {:>9} ms  {what}\n", at - first);
    lines.iter().map(line).collect()
}
