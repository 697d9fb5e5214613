//! Checks the promises against the evidence that a run leaves behind.
//!
//! Each broken promise is one line, with account, command and events. Nothing here depends on how
//! the evidence was collected.

mod answers;
mod effects;
mod log;

use super::evidence::{AccountEvidence, Evidence, Ms};

/// Where messages that nobody can process belong.
const DEAD_LETTERS: &str = "tdfleet.dead-letters";

/// Returns all broken promises.
pub(crate) fn check(evidence: &Evidence) -> Vec<String> {
    let mut violations = Vec::new();
    for (account, evidence_of) in &evidence.accounts {
        let case = AccountCase { evidence: evidence_of, wipes: &evidence.wipes };
        let mut found = log::check(&case);
        found.extend(answers::check(&case));
        found.extend(effects::check(&case));
        violations.extend(found.into_iter().map(|what| format!("account {account}: {what}")));
    }
    let attacked = evidence.accounts.values().any(|account| account.attacked);
    let expected = |name: &str| attacked && name == DEAD_LETTERS;
    let queue = |(name, messages): &(String, u64)| format!("queue {name} still has {messages}");
    violations.extend(evidence.queues.iter().filter(|(name, _)| !expected(name)).map(queue));
    violations.extend(evidence.ended.iter().map(|ending| format!("{ending} under attack")));
    if 0 < evidence.uploads {
        violations.push(format!("parts of files were uploaded, {} times", evidence.uploads));
    }
    let twice = |account: &Option<u32>| match account {
        Some(account) => format!("account {account}: one key was used by two owners at once"),
        None => "one key was used by two owners at once".to_owned(),
    };
    violations.extend(evidence.duplicates.iter().map(twice));
    violations
}

/// One account's evidence.
struct AccountCase<'a> {
    evidence: &'a AccountEvidence,
    /// When Redis lost what it had.
    wipes: &'a [(Ms, Ms)],
}

impl AccountCase<'_> {
    /// When Redis lost its data for the last time.
    fn last_wipe(&self) -> Option<Ms> {
        self.wipes.iter().map(|(_, to)| *to).max()
    }
}
