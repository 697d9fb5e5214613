//! Files: their length, their names, words that they must not contain.

use anyhow::Context;

use crate::manifests::Manifests;
use crate::tree::{self, Tree};

/// Most lines of a source file, without its tests.
const MOST_LINES: usize = 400;

/// Words that mark unfinished work, and paths that exist on one machine only. Joined from parts, so
/// that this file does not contain them.
const WORDS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("/wor", "k/"),
    concat!("/hom", "e/"),
    concat!("/ro", "ot/"),
    concat!("/var/t", "mp/"),
];

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(".rs") {
        if path.ends_with("/mod.rs") {
            findings.push(format!(
                "{path}: must be named after its module, next to the module's folder"
            ));
        }
        let lines = text.lines().take_while(|line| *line != "mod tests {").count();
        let tests = path.starts_with("tests/") || path.contains("/tests/");
        if lines > MOST_LINES && !tests {
            findings.push(format!("{path}: has {lines} lines, {MOST_LINES} at most"));
        }
    }
    for (path, text) in tree.texts("") {
        if path == "Cargo.lock" {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            let found = WORDS.iter().filter(|word| line.contains(**word));
            findings.extend(found.map(|word| format!("{path}:{number}: has `{word}`")));
        }
    }
    findings
}

/// Every package inherits the workspace's lints.
pub(crate) fn check_lints(tree: &Tree, manifests: &Manifests) -> anyhow::Result<Vec<String>> {
    let root = tree::root().canonicalize().context("the workspace cannot be found")?;
    let mut findings = Vec::new();
    for package in &manifests.packages {
        let path = package.manifest_path.strip_prefix(&root)?.display().to_string();
        if !tree.text(&path).contains("[lints]\nworkspace = true\n") {
            findings.push(format!("{path}: lacks `[lints] workspace = true`"));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count() {
        let long = "\n".repeat(MOST_LINES + 1);
        let tested = format!("\nmod tests {{\n{long}");
        let tree = tree::of(&[
            ("a/long.rs", &long),
            ("a/mod.rs", ""),
            ("a/tested.rs", &tested),
            ("a/tests/all.rs", &long),
        ]);
        assert_eq!(
            check(&tree),
            [
                "a/long.rs: has 401 lines, 400 at most",
                "a/mod.rs: must be named after its module, next to the module's folder"
            ]
        );
    }

    #[test]
    fn unfinished_work_is_found_by_line() {
        let text = format!("fine\n// {}: more", WORDS[0]);
        assert_eq!(check(&tree::of(&[("a.sh", &text)])).len(), 1);
    }
}
