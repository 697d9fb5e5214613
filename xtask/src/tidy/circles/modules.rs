use std::collections::{BTreeMap, BTreeSet};

use syn::Item;

use super::imports::leaves;
use crate::sources::{SourceFile, child};

/// Longest chain of re-exports that is followed; it also ends names that refer to themselves.
const MOST_STEPS: usize = 8;

/// The modules of one crate, by their paths from its root, and what each defines.
pub(super) struct ModuleTree {
    modules: BTreeMap<Vec<String>, ModuleNames>,
}

#[derive(Default)]
struct ModuleNames {
    /// Index of its file; for an inline module, of the file around it.
    file: usize,
    defined: BTreeSet<String>,
    /// The path of each imported or re-exported name, as its `use` has it.
    imported: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

enum PathTarget {
    Module(Vec<String>),
    /// Something that this file defines.
    Item(usize),
}

impl ModuleTree {
    pub(super) fn of(files: &[&SourceFile]) -> Self {
        let mut modules = Self { modules: BTreeMap::new() };
        for (number, file) in files.iter().enumerate() {
            modules.add(number, &file.module, &file.syntax.items);
        }
        modules
    }

    fn add(&mut self, file: usize, path: &[String], items: &[Item]) {
        let mut module = ModuleNames { file, ..ModuleNames::default() };
        for item in items {
            match item {
                Item::Mod(inline) => {
                    if let Some((_, items)) = &inline.content {
                        self.add(file, &child(path, &inline.ident), items);
                    }
                }
                Item::Use(item) => {
                    for leaf in leaves(&item.tree) {
                        match leaf.name {
                            None => module.globs.push(leaf.path),
                            Some(name) => drop(module.imported.insert(name, leaf.path)),
                        }
                    }
                }
                other => module.defined.extend(name_of(other)),
            }
        }
        self.modules.insert(path.to_vec(), module);
    }

    /// The file that defines what a path names, seen from a module; `None` if it is another crate's.
    pub(super) fn file_of(&self, module: &[String], path: &[String]) -> Option<usize> {
        let module = match self.find(module, path, MOST_STEPS) {
            Some(PathTarget::Item(file)) => return Some(file),
            Some(PathTarget::Module(found)) => found,
            None => self.deepest_module(module, path)?,
        };
        Some(self.modules.get(&module)?.file)
    }

    /// The last module on a path that ends in something this scan does not see,
    /// such as an item that a macro defines.
    fn deepest_module(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let (start, rest) = begin(module, path);
        let is_external =
            rest.len() == path.len() && !self.modules.contains_key(&child(&start, &rest[0]));
        let through = |length: usize| [&start, &rest[..length]].concat();
        let known =
            (0..=rest.len()).map(through).take_while(|path| self.modules.contains_key(path));
        known.last().filter(|_| !is_external)
    }

    fn find(&self, module: &[String], path: &[String], steps: usize) -> Option<PathTarget> {
        let steps = steps.checked_sub(1)?;
        let (mut at, mut rest) = begin(module, path);
        while let Some((name, after)) = rest.split_first() {
            let below = child(&at, name);
            if !self.modules.contains_key(&below) {
                return self.find_item(&at, rest, steps);
            }
            (at, rest) = (below, after);
        }
        Some(PathTarget::Module(at))
    }

    /// What the first name of a path means in a module that has no such submodule.
    fn find_item(&self, at: &[String], path: &[String], steps: usize) -> Option<PathTarget> {
        let (name, after) = path.split_first()?;
        let module = self.modules.get(at)?;
        if module.defined.contains(name) {
            return Some(PathTarget::Item(module.file));
        }
        if let Some(target) = module.imported.get(name) {
            return match self.find(at, target, steps)? {
                PathTarget::Module(target) if !after.is_empty() => self.find(&target, after, steps),
                found => Some(found),
            };
        }
        module.globs.iter().find_map(|glob| match self.find(at, glob, steps)? {
            PathTarget::Module(target) if target != at => {
                let steps = steps.checked_sub(1)?;
                if self.modules.contains_key(&child(&target, name)) {
                    self.find(&target, path, steps)
                } else {
                    self.find_item(&target, path, steps)
                }
            }
            _ => None,
        })
    }
}

/// Where a path starts, and the rest of it: `super::a` in `x::y` is `a` in `x`.
fn begin<'a>(module: &[String], path: &'a [String]) -> (Vec<String>, &'a [String]) {
    let (mut at, mut rest) = (module.to_vec(), path);
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()),
            "self" => {}
            _ => break,
        }
        rest = after;
    }
    (at, rest)
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
