//! `cargo xtask count`: how large the code is and how it names things, as a Markdown table.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::sources::SourceFile;
use crate::tidy::{impls, names};
use crate::tree::Tree;

pub(crate) fn table(tree: &Tree, files: &[SourceFile]) -> String {
    let mut rows = Vec::new();
    rows.extend(sizes(files));
    rows.extend(items(files));
    rows.extend(type_names(files));
    rows.extend(comments(files));
    let sources = tree.texts(".rs").filter_map(|(_, text)| text.parse().ok());
    let tests: usize = sources.map(tests_in).sum();
    rows.push(("`#[test]` and `#[tokio::test]` functions".to_owned(), tests.to_string()));
    let rows = rows.into_iter().map(|(name, value)| format!("| {name} | {value} |\n"));
    "| | |\n| --- | --- |\n".to_owned() + &rows.collect::<String>()
}

type TableRow = (String, String);

fn row(name: &str, value: impl Into<String>) -> TableRow {
    (name.to_owned(), value.into())
}

fn sizes(files: &[SourceFile]) -> [TableRow; 5] {
    let lines: Vec<usize> = files.iter().map(|file| file.lines().count()).collect();
    let functions = || files.iter().flat_map(|file| &file.inventory.functions);
    let parameters = functions().map(|function| function.parameters).max().unwrap_or_default();
    let total: usize = lines.iter().sum();
    let functions = functions().map(|function| function.lines).collect();
    [
        row("files", files.len().to_string()),
        row("production lines, without inline tests", total.to_string()),
        row("lines of a file: median / p90 / p99 / max", spread(lines)),
        row("lines of a function: median / p90 / p99 / max", spread(functions)),
        row("most parameters", parameters.to_string()),
    ]
}

fn spread(mut values: Vec<usize>) -> String {
    values.sort_unstable();
    let at = |percent: usize| values.get((values.len().max(1) - 1) * percent / 100).unwrap_or(&0);
    format!("{} / {} / {} / {}", at(50), at(90), at(99), at(100))
}

fn items(files: &[SourceFile]) -> [TableRow; 1] {
    let public: usize = files.iter().map(|file| file.inventory.public_items).sum();
    let restricted: usize = files.iter().map(|file| file.inventory.restricted_items).sum();
    [row("items: `pub` / `pub(crate)` or narrower", format!("{public} / {restricted}"))]
}

fn type_names(files: &[SourceFile]) -> Vec<TableRow> {
    let in_crates = || files.iter().filter(|file| file.path.starts_with("crates/"));
    let mut rows =
        vec![row("one-word type names in `crates/`", share(names::one_word_names(in_crates())))];
    let mut packages: Vec<&str> = files.iter().map(|file| file.package.as_str()).collect();
    packages.dedup();
    for package in packages {
        let of_package = files.iter().filter(|file| file.package == package);
        let name = format!("one-word type names in `{package}`");
        rows.push((name, share(names::one_word_names(of_package))));
    }
    rows.push(row(
        "type names defined more than once",
        names::defined_twice(in_crates()).len().to_string(),
    ));
    rows.push(row("the same in the crates of a request", names::homonyms(files).len().to_string()));
    let impls = files.iter().map(|file| file.inventory.inherent_impls.len()).sum();
    let apart = impls::apart(files).len();
    rows.push(row("inherent `impl`s in another file than their type", share((apart, impls))));
    rows
}

fn comments(files: &[SourceFile]) -> [TableRow; 2] {
    let lines = || files.iter().flat_map(SourceFile::lines).map(|(_, line)| line.trim_start());
    let is_doc = |line: &&str| line.starts_with("///") || line.starts_with("//!");
    let doc = lines().filter(is_doc).count();
    let plain = lines().filter(|line| line.starts_with("//") && !is_doc(line)).count();
    let all = lines().count();
    [
        row("lines of doc comments", share((doc, all))),
        row("lines of other comments", share((plain, all))),
    ]
}

fn share((part, whole): (usize, usize)) -> String {
    let tenths = part * 1000 / whole.max(1);
    format!("{part} of {whole} ({}.{} %)", tenths / 10, tenths % 10)
}

/// Test functions, including those inside macros. A macro that makes several tests of one counts once.
fn tests_in(tokens: TokenStream) -> usize {
    let groups = tokens.into_iter().filter_map(|token| match token {
        TokenTree::Group(group) => Some(group),
        _ => None,
    });
    groups.map(|group| if is_test(&group) { 1 } else { tests_in(group.stream()) }).sum()
}

/// Whether it is what follows the `#` of `#[test]` or `#[tokio::test(…)]`.
fn is_test(group: &Group) -> bool {
    let first: String = group.stream().into_iter().take(4).map(|token| token.to_string()).collect();
    group.delimiter() == Delimiter::Bracket && (first == "test" || first.starts_with("tokio::test"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sources, tree};

    #[test]
    fn tests_are_counted_in_modules_and_macros() {
        let text = "#[cfg(test)]\nmod tests {\n#[test]\nfn a() {}\n#[tokio::test(start_paused = true)]\n\
                    async fn b() {}\n}\nproptest! {\n#[test]\nfn c(x in 0..9u8) {}\n}\n";
        assert_eq!(tests_in(text.parse().unwrap()), 3);
    }

    #[test]
    fn the_table_has_sizes_and_shares() {
        let tree = tree::of(&[
            ("crates/a/src/lib.rs", "/// One.\npub struct Lease;\npub(crate) struct TwoWords;\n"),
            ("crates/b/src/lib.rs", "struct Lease;\n"),
        ]);
        let table = table(&tree, &sources::parse(&tree).unwrap());
        for row in [
            "| files | 2 |",
            "| lines of a file: median / p90 / p99 / max | 1 / 1 / 1 / 3 |",
            "| items: `pub` / `pub(crate)` or narrower | 1 / 1 |",
            "| one-word type names in `crates/` | 2 of 3 (66.6 %) |",
            "| type names defined more than once | 1 |",
            "| lines of doc comments | 1 of 4 (25.0 %) |",
        ] {
            assert!(table.contains(row), "{row} is not in\n{table}");
        }
    }
}
