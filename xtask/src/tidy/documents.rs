//! Documents name only files that exist.

use crate::tree::Tree;

/// Folders whose quoted paths are checked.
const FOLDERS: &[&str] =
    &["crates/", "docs/", "deploy/", "schemas/", "tests/", "xtask/", "scripts/", ".ci/"];

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(".md") {
        for (number, line) in (1..).zip(text.lines()) {
            let links = links(line).map(|target| resolve(path, target));
            let named = quoted(line).filter_map(named_path).map(str::to_owned);
            let absent = links.chain(named).filter(|target| !tree.has(target));
            findings
                .extend(absent.map(|target| format!("{path}:{number}: `{target}` does not exist")));
        }
    }
    for (path, text) in tree.texts(".rs").chain(tree.texts(".toml")) {
        for (number, line) in (1..).zip(text.lines()) {
            let comment = line.find("//").or_else(|| line.find('#')).map_or("", |at| &line[at..]);
            let named = comment
                .split(|c: char| c.is_whitespace() || "(),;`".contains(c))
                .filter(|word| word.starts_with("docs/"));
            let absent =
                named.map(|word| word.trim_end_matches(['.', ':'])).filter(|word| !tree.has(word));
            findings.extend(absent.map(|word| format!("{path}:{number}: `{word}` does not exist")));
        }
    }
    findings
}

/// Targets of `[…](target)` that are in this repository, without their anchors.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split_once(')')?.0;
        let file = target.split_once('#').map_or(target, |(file, _)| file);
        (!file.is_empty() && !target.contains("://")).then_some(file)
    })
}

/// The texts between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The quoted path, if it is in this repository and not a pattern.
fn named_path(quoted: &str) -> Option<&str> {
    let ours = FOLDERS.iter().any(|folder| quoted.starts_with(folder));
    let plain = !quoted.contains(|c: char| c.is_whitespace() || "<>*{}…".contains(c));
    (ours && plain).then_some(quoted)
}

/// A link's target, relative to the root.
fn resolve(document: &str, target: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    fn check_page(page: &str) -> Vec<String> {
        check(&tree::of(&[
            ("docs/page.md", page),
            ("docs/adr/0001-own.md", ""),
            ("crates/a.rs", ""),
        ]))
    }

    #[test]
    fn links_go_from_their_page() {
        assert!(check_page("[a](adr/0001-own.md#top), [b](../crates/a.rs), [c](#here)").is_empty());
        assert!(check_page("[a](https://example.org/x.md)").is_empty());
        assert_eq!(
            check_page("[a](crates/a.rs)"),
            ["docs/page.md:1: `docs/crates/a.rs` does not exist"]
        );
    }

    #[test]
    fn quoted_paths_are_looked_for() {
        assert!(check_page("`docs/adr/0001`, `docs/<name>.md`, `cargo run docs/x`").is_empty());
        assert_eq!(
            check_page("so `crates/b.rs`"),
            ["docs/page.md:1: `crates/b.rs` does not exist"]
        );
    }

    #[test]
    fn comments_name_pages_that_are_there() {
        let findings =
            check(&tree::of(&[("a.rs", concat!("// ", "docs/gone.md")), ("docs/b.md", "")]));
        assert_eq!(findings, ["a.rs:1: `docs/gone.md` does not exist"]);
    }
}
