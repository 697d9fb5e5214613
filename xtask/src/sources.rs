//! The Rust sources of the workspace's packages, parsed, without their tests.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use anyhow::{Context, anyhow};
use syn::spanned::Spanned;
use syn::{Attribute, ImplItem, Item, Meta};

use crate::inventory::Inventory;
use crate::tree::Tree;

/// A production source file; files that only tests compile are left out.
pub(crate) struct SourceFile {
    /// From the repository's root.
    pub(crate) path: String,
    /// The folder of its package, such as `crates/broker`.
    pub(crate) package: String,
    /// The file's module, as names from the crate's root; empty for the root itself.
    pub(crate) module: Vec<String>,
    pub(crate) text: String,
    /// Lines of items behind `#[cfg(test)]`, counted from 1.
    pub(crate) tests: Vec<RangeInclusive<usize>>,
    /// The items that are not behind `#[cfg(test)]`.
    pub(crate) syntax: syn::File,
    pub(crate) inventory: Inventory,
}

impl SourceFile {
    /// The package's name by its folder.
    pub(crate) fn crate_name(&self) -> &str {
        self.package.rsplit('/').next().unwrap_or_default()
    }

    /// Lines with their numbers, without those of inline tests.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = |number: &usize| self.tests.iter().any(|range| range.contains(number));
        (1..).zip(self.text.lines()).filter(move |(number, _)| !is_test(number))
    }

    fn parse(path: &str, text: &str) -> anyhow::Result<Option<(Self, Vec<Vec<String>>)>> {
        let Some((package, rest)) = path.split_once("/src/") else { return Ok(None) };
        let Some(module) = module_of(rest) else { return Ok(None) };
        let mut syntax = syn::parse_file(text)
            .map_err(|error| anyhow!("line {}: {error}", error.span().start().line))
            .with_context(|| path.to_owned())?;
        let mut removed = TestItems::default();
        removed.prune(&mut syntax.items, &module);
        let (package, path, text) = (package.to_owned(), path.to_owned(), text.to_owned());
        let inventory = Inventory::of(&syntax);
        let file = Self { path, package, module, text, tests: removed.lines, syntax, inventory };
        Ok(Some((file, removed.modules)))
    }
}

/// Every file under a `src` folder, by path.
pub(crate) fn parse(tree: &Tree) -> anyhow::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut for_tests = BTreeSet::new();
    for (path, text) in tree.texts(".rs") {
        let Some((file, modules)) = SourceFile::parse(path, text)? else { continue };
        for_tests.extend(modules.into_iter().map(|module| (file.package.clone(), module)));
        files.push(file);
    }
    let is_for_tests = |file: &SourceFile| {
        (1..=file.module.len()).any(|length| {
            for_tests.contains(&(file.package.clone(), file.module[..length].to_vec()))
        })
    };
    files.retain(|file| !is_for_tests(file));
    Ok(files)
}

/// `a/b.rs` is the module `a::b`.
fn module_of(file: &str) -> Option<Vec<String>> {
    let stem = file.strip_suffix(".rs")?;
    let is_root = matches!(stem, "lib" | "main");
    Some(if is_root { Vec::new() } else { stem.split('/').map(str::to_owned).collect() })
}

/// What `#[cfg(test)]` keeps out of a build.
#[derive(Default)]
struct TestItems {
    lines: Vec<RangeInclusive<usize>>,
    /// Modules that are files of their own.
    modules: Vec<Vec<String>>,
}

impl TestItems {
    fn prune(&mut self, items: &mut Vec<Item>, module: &[String]) {
        items.retain(|item| {
            let is_test = is_for_tests(attributes(item));
            if is_test {
                self.lines.push(lines_of(item));
                if let Item::Mod(declared) = item {
                    self.modules.push(child(module, &declared.ident));
                }
            }
            !is_test
        });
        for item in items {
            match item {
                Item::Mod(inline) => {
                    if let Some((_, items)) = &mut inline.content {
                        self.prune(items, &child(module, &inline.ident));
                    }
                }
                Item::Impl(block) => block.items.retain(|item| self.keeps(item)),
                _ => {}
            }
        }
    }

    fn keeps(&mut self, item: &ImplItem) -> bool {
        let is_test = matches!(item, ImplItem::Fn(method) if is_for_tests(&method.attrs));
        if is_test {
            self.lines.push(lines_of(item));
        }
        !is_test
    }
}

/// The path of a module inside another.
pub(crate) fn child(module: &[String], name: &impl ToString) -> Vec<String> {
    let mut path = module.to_vec();
    path.push(name.to_string());
    path
}

fn lines_of(item: &impl Spanned) -> RangeInclusive<usize> {
    item.span().start().line..=item.span().end().line
}

/// Whether `#[cfg(test)]` is among them.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn tests_are_left_out() {
        let root = "mod a;\n#[cfg(test)]\nmod fixtures;\n#[cfg(test)]\nmod tests {\n}\nstruct A;\n";
        let files = parse(&tree::of(&[
            ("crates/x/src/lib.rs", root),
            ("crates/x/src/a.rs", "impl A {\n    #[cfg(test)]\n    fn only() {}\n}\n"),
            ("crates/x/src/fixtures.rs", "struct B;"),
            ("crates/x/tests/it.rs", "struct C;"),
        ]))
        .unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["crates/x/src/a.rs", "crates/x/src/lib.rs"]);
        assert_eq!(files[0].tests, [2..=3]);
        assert_eq!(files[1].tests, [2..=3, 4..=6]);
        assert_eq!(files[1].lines().count(), 2);
    }

    #[test]
    fn a_file_that_is_not_rust_is_named() {
        let error =
            parse(&tree::of(&[("crates/x/src/lib.rs", "fn a() {}\nstruct;")])).err().unwrap();
        assert!(format!("{error:#}").starts_with("crates/x/src/lib.rs: line 2: "), "{error:#}");
    }
}
