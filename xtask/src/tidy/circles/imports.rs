use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{UseTree, Visibility};

use crate::sources::child;

/// Every path in a file that may refer to another file.
#[derive(Default)]
pub(super) struct ImportList {
    pub(super) paths: Vec<ImportPath>,
    /// The first names of all paths in the code itself.
    names: BTreeSet<String>,
    /// The module that is being read.
    module: Vec<String>,
}

pub(super) struct ImportPath {
    /// The module that contains the path.
    pub(super) module: Vec<String>,
    pub(super) path: Vec<String>,
    /// Its name in this module; `None` for a path in the code and for `*`.
    name: Option<String>,
    pub(super) line: usize,
    /// `pub use` or `pub(…) use`.
    pub(super) is_re_export: bool,
}

impl ImportList {
    pub(super) fn of(file: &syn::File, module: &[String]) -> Self {
        let mut imports = Self { module: module.to_vec(), ..Self::default() };
        imports.visit_file(file);
        imports
    }

    /// Whether the file's own code uses what is imported.
    pub(super) fn uses_name(&self, import: &ImportPath) -> bool {
        import.name.as_ref().is_some_and(|name| self.names.contains(name))
    }

    fn add_path(&mut self, path: Vec<String>, span: Span) {
        self.names.extend(path.first().cloned());
        // A single name is defined here, or imported by a `use`.
        if path.len() > 1 {
            let (module, line) = (self.module.clone(), span.start().line);
            self.paths.push(ImportPath { module, path, name: None, line, is_re_export: false });
        }
    }

    /// Paths in unparsed tokens, such as the arguments of a macro.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut span = Span::call_site();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add_path(std::mem::take(&mut path), span);
                    }
                    if path.is_empty() {
                        span = ident.span();
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.add_path(std::mem::take(&mut path), span);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.add_path(path, span);
    }
}

impl<'ast> Visit<'ast> for ImportList {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module = child(&self.module, &item.ident);
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_re_export = !matches!(item.vis, Visibility::Inherited);
        for leaf in leaves(&item.tree) {
            let (module, line) = (self.module.clone(), leaf.span.start().line);
            let UseLeaf { path, name, .. } = leaf;
            self.paths.push(ImportPath { module, path, name, line, is_re_export });
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let names = path.segments.iter().map(|segment| segment.ident.to_string());
            self.add_path(names.collect(), first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.add_tokens(call.tokens.clone());
    }

    /// `pub(in crate::a)` imports nothing, and neither does an attribute.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

/// One name that a `use` imports.
pub(super) struct UseLeaf {
    pub(super) path: Vec<String>,
    /// Its name in this module; `None` for `*`.
    pub(super) name: Option<String>,
    pub(super) span: Span,
}

pub(super) fn leaves(tree: &UseTree) -> Vec<UseLeaf> {
    let mut leaves = Vec::new();
    gather(tree, &[], &mut leaves);
    leaves
}

fn gather(tree: &UseTree, before: &[String], leaves: &mut Vec<UseLeaf>) {
    match tree {
        UseTree::Path(path) => gather(&path.tree, &child(before, &path.ident), leaves),
        UseTree::Group(group) => {
            for tree in &group.items {
                gather(tree, before, leaves);
            }
        }
        UseTree::Name(name) => {
            // `a::{self}` is `a`.
            let is_self = name.ident == "self" && !before.is_empty();
            let path = if is_self { before.to_vec() } else { child(before, &name.ident) };
            leaves.push(UseLeaf { name: path.last().cloned(), path, span: name.ident.span() });
        }
        UseTree::Rename(rename) => {
            let path = child(before, &rename.ident);
            let name = Some(rename.rename.to_string());
            leaves.push(UseLeaf { path, name, span: rename.ident.span() });
        }
        UseTree::Glob(glob) => {
            let path = before.to_vec();
            leaves.push(UseLeaf { path, name: None, span: glob.star_token.spans[0] });
        }
    }
}
