//! Every setting is in docs/settings.md and in the example, and neither has another one.

use std::collections::BTreeSet;

use crate::tree::Tree;

const STRUCTS: &str = "crates/settings/src/sections";
const ROOT: &str = "crates/settings/src/sections.rs";
const PAGE: &str = "docs/settings.md";
const EXAMPLE: &str = "deploy/tdfleet.example.toml";

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let fields: BTreeSet<String> = tree
        .texts(".rs")
        .filter(|(path, _)| path.starts_with(STRUCTS))
        .flat_map(|(path, text)| fields(if path == ROOT { Some("") } else { None }, text))
        .collect();
    // A nested section has no row of its own; its fields have.
    let is_section =
        |name: &String| fields.iter().any(|field| field.starts_with(&format!("{name}.")));
    let expected: BTreeSet<String> =
        fields.iter().filter(|name| !is_section(name)).cloned().collect();
    let page: BTreeSet<String> =
        tree.text(PAGE).lines().filter_map(|line| row(line)).map(str::to_owned).collect();
    let mut findings = differences(PAGE, &expected, &page);
    findings.extend(differences(EXAMPLE, &expected, &keys(tree.text(EXAMPLE))));
    findings
}

fn differences(file: &str, expected: &BTreeSet<String>, found: &BTreeSet<String>) -> Vec<String> {
    let missing = expected.difference(found).map(|name| format!("{file}: `{name}` is missing"));
    let unknown = found.difference(expected).map(|name| format!("{file}: `{name}` is no setting"));
    missing.chain(unknown).collect()
}

/// `section.field` of every public field in structs whose doc comment begins with `` `[section]` ``;
/// `otherwise` is the section of the others, if they have one.
fn fields(otherwise: Option<&str>, source: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut documented = None;
    let mut section = None;
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("/// `[") {
            documented = rest.split_once("]`").map(|(name, _)| name);
        } else if line.starts_with("pub struct ") {
            section = documented.take().or(otherwise);
        } else if line == "}" {
            section = None;
        } else if let (Some(section), Some(field)) = (section, line.strip_prefix("    pub ")) {
            let name = field.split(':').next().unwrap_or_default();
            let is_method = name.contains(' ');
            if !is_method {
                let dot = if section.is_empty() { "" } else { "." };
                fields.push(format!("{section}{dot}{name}"));
            }
        }
    }
    fields
}

/// The setting that a line of a table is about.
fn row(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
}

/// `section.key` of every key of a TOML file, those behind a single `#` included.
fn keys(toml: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in toml.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            // The entries of `[[name]]` are tables of an array.
            section = format!("{}.", name.trim_matches(['[', ']']));
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        {
            keys.insert(format!("{section}{key}"));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    const SOURCE: &str =
        "/// All.\npub struct Settings {\n    pub name: String,\n    pub a: A,\n}\n";
    const SECTION: &str = "/// `[a]`: things.\n#[derive(Debug)]\npub struct A {\n    pub b: u8,\n}\n\
                           /// Not one.\npub struct C {\n    pub d: u8,\n}\n\
                           impl A {\n    pub fn x(&self) -> u8 {\n}\n";

    fn check_with(page: &str, example: &str) -> Vec<String> {
        let section = format!("{STRUCTS}/a.rs");
        check(&tree::of(&[(ROOT, SOURCE), (&section, SECTION), (PAGE, page), (EXAMPLE, example)]))
    }

    #[test]
    fn page_and_example_have_every_setting() {
        let page = "| `name` | x |\n| `a.b` | y |";
        assert!(check_with(page, "name = \"x\"\n[a]\n# as is = it\n#b = 1\n").is_empty());
        assert_eq!(
            check_with("| `name` | x |\n| `a.e` | y |", "#name = 1\n[a]\nb = 1"),
            ["docs/settings.md: `a.b` is missing", "docs/settings.md: `a.e` is no setting"]
        );
    }
}
