//! Words and phrases that a native reader would stumble over, in documents and in Rust sources.

use crate::tree::Tree;

/// What is not written, and what to write instead.
const BANNED: &[(&str, &str)] = &[
    ("anew", "again"),
    ("let go", "release, drop"),
    ("lets go", "releases, drops"),
    ("letting go", "releasing, dropping"),
    ("in good order", "cleanly"),
    ("is away", "is down, is unreachable"),
    ("are away", "are down, are unreachable"),
    ("be away", "be down, be unreachable"),
    ("whoever", "anyone who, the task that"),
    ("so many", "the number of"),
    ("untold", "undocumented, unreported"),
    ("beside one another", "concurrently, side by side"),
    ("beside each other", "concurrently, side by side"),
    ("carry out", "run, execute, apply"),
    ("carries out", "runs, executes, applies"),
    ("carried out", "run, executed, applied"),
    ("carrying out", "running, executing, applying"),
    ("gives back", "returns, echoes"),
    ("put aside", "dead-letter, set aside"),
    ("puts aside", "dead-letters, sets aside"),
    ("come to an end", "end"),
    ("comes to an end", "ends"),
    ("came to an end", "ended"),
    ("fault of ours", "internal error"),
    ("done away with", "removed, revoked"),
    ("own up", "report"),
    ("nobody objected", "not detected"),
];

/// Files that keep the words of their day, and this list.
const EXEMPT: &[&str] =
    &["CHANGELOG.md", "docs/adr/", "docs/figures/", "xtask/src/tidy/english.rs"];

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let files = tree.texts(".md").chain(tree.texts(".rs"));
    let files = files.filter(|(path, _)| !EXEMPT.iter().any(|exempt| path.starts_with(exempt)));
    files.flat_map(|(path, text)| check_text(path, text)).collect()
}

fn check_text(path: &str, text: &str) -> Vec<String> {
    let words = words(text);
    let mut findings = Vec::new();
    for (at, (line, _)) in words.iter().enumerate() {
        for (phrase, better) in BANNED {
            let mut rest = words[at..].iter();
            if phrase.split(' ').all(|word| rest.next().is_some_and(|(_, found)| found == word)) {
                findings.push(format!("{path}:{line}: \"{phrase}\" -> \"{better}\""));
            }
        }
    }
    findings
}

/// Lower-case words with their lines. Punctuation stands between them as a word of its own, so that no
/// phrase reaches across it; what begins a comment's line does not.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start().trim_start_matches(['/', '!', '#', '>', '*']);
        let mut word = String::new();
        for c in line.chars().chain([' ']) {
            if c.is_alphanumeric() || "_-'".contains(c) {
                word.extend(c.to_lowercase());
                continue;
            }
            if !word.is_empty() {
                words.push((number, std::mem::take(&mut word)));
            }
            if !c.is_whitespace() {
                words.push((number, c.to_string()));
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    fn check_source(text: &str) -> Vec<String> {
        check(&tree::of(&[("a.rs", text)]))
    }

    #[test]
    fn a_phrase_is_found_across_lines_and_cases() {
        assert_eq!(
            check_source("fn f() {}\n/// It is not Let\n/// go, and starts anew.\n"),
            ["a.rs:2: \"let go\" -> \"release, drop\"", "a.rs:3: \"anew\" -> \"again\""]
        );
    }

    #[test]
    fn whole_words_count() {
        assert!(check_source("// Let us go. He is a way out.\nlet go_on = so_many;\n").is_empty());
        assert!(check_source("// as it is: away from here\n").is_empty());
    }

    #[test]
    fn history_keeps_its_words() {
        let text = "Redis is away";
        let page = check(&tree::of(&[("docs/adr/0001.md", text), ("CHANGELOG.md", text)]));
        assert!(page.is_empty());
        assert_eq!(check(&tree::of(&[("README.md", text)])).len(), 1);
    }
}
