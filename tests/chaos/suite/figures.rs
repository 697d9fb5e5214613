//! The measurements of a run.

use std::collections::BTreeMap;

use super::evidence::{AccountEvidence, Evidence, Ms};
use super::faults::{FaultKind, InjectedFault};
use super::fleet::TestFleet;
use super::timeline::say;
use super::{ChaosRun, lock};

/// Highest factor by which flood waits of some accounts may slow the others.
const MAX_SLOWDOWN: f64 = 2.0;
/// Answers faster than this, in milliseconds, are noise on a shared machine.
const NOISE_FLOOR: f64 = 100.0;
/// Fewest samples for a meaningful 99th percentile.
const MIN_SAMPLES: usize = 500;

/// Prints the figures, and returns a violation if one of them is worse than promised.
pub(crate) fn print(
    run: &ChaosRun,
    evidence: &Evidence,
    marks: &[InjectedFault],
) -> Option<String> {
    print_throughput(run);
    for mark in marks {
        match mark.kind {
            FaultKind::KillWorker => {
                let moved = evidence.accounts.values().filter_map(|one| taken_over(one, mark));
                let lease = run.options.lease_s;
                let what =
                    format!("from kill -9 to a moved account's first answer (lease {lease} s)");
                print_spread(&what, moved.collect());
            }
            FaultKind::RollingRestart => {
                let gaps = handed_over(evidence, mark);
                print_spread("a shard's pause while it is handed over", gaps);
            }
            _ => {}
        }
    }
    let observed = marks.iter().filter(|mark| mark.kind.is_observed());
    observed.map(|mark| neighbours(run, evidence, mark)).fold(None, Option::or)
}

fn print_throughput(run: &ChaosRun) {
    let published = lock(&run.published);
    let commands = || published.values().flatten();
    let first = commands().filter_map(|command| command.attempts.first()).min();
    let answers = commands().filter_map(|command| run.follower.answer(&command.id));
    let times: Vec<Ms> = answers.map(|answer| answer.at).collect();
    if let (Some(first), Some(last)) = (first, times.iter().max()) {
        let seconds = seconds(last.saturating_sub(*first));
        let rate = number(times.len()) / seconds.max(1.0);
        say(&format!(
            "figure: {} commands answered in {seconds:.0} s, {rate:.0} a second",
            times.len()
        ));
    }
}

/// Milliseconds from a kill to the account's first answer under a newer epoch, if it moved.
fn taken_over(account: &AccountEvidence, mark: &InjectedFault) -> Option<Ms> {
    let answers = || account.seen.values().filter(|seen| seen.event.command.is_some());
    let before =
        answers().filter(|seen| seen.at < mark.from).map(|seen| seen.event.id.epoch).max()?;
    let after = answers().filter(|seen| before < seen.event.id.epoch && mark.from < seen.at);
    let first = after.map(|seen| seen.at).min()?;
    (first < mark.to).then(|| first - mark.from)
}

/// For each shard that moved: milliseconds between the last answer under the old epoch and the
/// first one under the new.
fn handed_over(evidence: &Evidence, mark: &InjectedFault) -> Vec<Ms> {
    let mut shards: BTreeMap<_, BTreeMap<u64, (Ms, Ms)>> = BTreeMap::new();
    for (account, one) in &evidence.accounts {
        let epochs = shards.entry(TestFleet::shard_of(*account)).or_default();
        let answers = one.seen.values().filter(|seen| seen.live && seen.event.command.is_some());
        for seen in answers.filter(|seen| (mark.from..mark.to).contains(&seen.at)) {
            let span = epochs.entry(seen.event.id.epoch).or_insert((seen.at, seen.at));
            *span = (span.0.min(seen.at), span.1.max(seen.at));
        }
    }
    let gaps = |epochs: BTreeMap<u64, (Ms, Ms)>| {
        let spans: Vec<_> = epochs.into_values().collect();
        let gap = |pair: &[(Ms, Ms)]| pair[1].0.saturating_sub(pair[0].1);
        spans.windows(2).map(gap).collect::<Vec<_>>()
    };
    shards.into_values().flat_map(gaps).collect()
}

/// Compares the 99th percentile of the other accounts, before and during floods or attacks.
fn neighbours(run: &ChaosRun, evidence: &Evidence, mark: &InjectedFault) -> Option<String> {
    let lasted = mark.to - mark.from;
    let before = p99(run, evidence, mark, mark.from - lasted..mark.from);
    let during = p99(run, evidence, mark, mark.from..mark.to);
    let (Some(before), Some(during)) = (before, during) else {
        say("figure: no answers to compare the neighbours by");
        return None;
    };
    let ((before, few), (during, _), name) = (before, during, mark.kind.name());
    say(&format!(
        "figure: p99 of the neighbours {before:.0} ms before {name}, {during:.0} ms during"
    ));
    if few {
        return None;
    }
    (MAX_SLOWDOWN * before.max(NOISE_FLOOR) < during).then(|| {
        format!("the neighbours' p99 went from {before:.0} ms to {during:.0} ms during {name}")
    })
}

/// The 99th percentile in milliseconds, and whether it is of too few answers to be judged.
fn p99(
    run: &ChaosRun,
    evidence: &Evidence,
    mark: &InjectedFault,
    within: std::ops::Range<Ms>,
) -> Option<(f64, bool)> {
    let mut took = Vec::new();
    for (_, one) in evidence.accounts.iter().filter(|(one, _)| !mark.accounts.contains(one)) {
        for command in &one.published {
            let published = command.attempts.first().filter(|at| within.contains(at));
            if let (Some(at), Some(answer)) = (published, run.follower.answer(&command.id)) {
                took.push(answer.at.saturating_sub(*at));
            }
        }
    }
    took.sort_unstable();
    let slowest = took.get(took.len() * 99 / 100)?;
    Some((seconds(*slowest) * 1000.0, took.len() < MIN_SAMPLES))
}

fn print_spread(what: &str, mut times: Vec<Ms>) {
    times.sort_unstable();
    let (Some(least), Some(most)) = (times.first(), times.last()) else {
        say(&format!("figure: {what}: nothing moved"));
        return;
    };
    let median = times[times.len() / 2];
    let [least, median, most] = [*least, median, *most].map(seconds);
    say(&format!(
        "figure: {what}: {least:.2} / {median:.2} / {most:.2} s (least, median, most of {})",
        times.len()
    ));
}

fn seconds(ms: Ms) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
