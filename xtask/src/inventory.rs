//! What a source file defines: types, functions, `impl` blocks.

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Ident, Signature, Visibility};

#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) types: Vec<TypeName>,
    pub(crate) functions: Vec<FunctionSize>,
    /// `impl Type` without a trait.
    pub(crate) inherent_impls: Vec<TypeName>,
    /// Items and methods that are `pub`.
    pub(crate) public_items: usize,
    /// Items and methods that are `pub(crate)` or narrower, but not private.
    pub(crate) restricted_items: usize,
    function_depth: usize,
}

/// The name of a type, and where it is defined.
#[derive(Debug)]
pub(crate) struct TypeName {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Defined inside a function.
    pub(crate) is_local: bool,
}

#[derive(Debug)]
pub(crate) struct FunctionSize {
    /// From its signature to its last bracket.
    pub(crate) lines: usize,
    pub(crate) parameters: usize,
}

impl Inventory {
    pub(crate) fn of(file: &syn::File) -> Self {
        let mut inventory = Self::default();
        inventory.visit_file(file);
        inventory
    }

    fn definition(&self, name: &Ident) -> TypeName {
        let line = name.span().start().line;
        TypeName { name: name.to_string(), line, is_local: self.function_depth > 0 }
    }

    fn add_type(&mut self, name: &Ident, visibility: &Visibility) {
        self.types.push(self.definition(name));
        self.add_item(visibility);
    }

    fn add_item(&mut self, visibility: &Visibility) {
        match visibility {
            Visibility::Public(_) => self.public_items += 1,
            Visibility::Restricted(_) => self.restricted_items += 1,
            Visibility::Inherited => {}
        }
    }

    /// Types that are defined in the arguments of a macro: `arguments! { struct Fields { … } }`.
    fn add_types_among(&mut self, tokens: TokenStream) {
        let mut defines = false;
        for token in tokens {
            match &token {
                TokenTree::Ident(name) if defines => self.types.push(self.definition(name)),
                TokenTree::Group(group) => self.add_types_among(group.stream()),
                _ => {}
            }
            defines =
                matches!(&token, TokenTree::Ident(word) if *word == "struct" || *word == "enum");
        }
    }

    fn add_function(&mut self, signature: &Signature, body: &Block) {
        let first = signature.span().start().line;
        let last = body.brace_token.span.close().end().line;
        let lines = last + 1 - first;
        self.functions.push(FunctionSize { lines, parameters: signature.inputs.len() });
    }
}

impl<'ast> Visit<'ast> for Inventory {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add_type(&item.ident, &item.vis);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add_type(&item.ident, &item.vis);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.add_type(&item.ident, &item.vis);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.add_type(&item.ident, &item.vis);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add_type(&item.ident, &item.vis);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.add_item(&item.vis);
        visit::visit_item_const(self, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.add_item(&item.vis);
        visit::visit_item_static(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.add_item(&item.vis);
        visit::visit_item_mod(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.add_item(&item.vis);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add_item(&item.vis);
        self.add_function(&item.sig, &item.block);
        self.function_depth += 1;
        visit::visit_item_fn(self, item);
        self.function_depth -= 1;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add_item(&item.vis);
        self.add_function(&item.sig, &item.block);
        self.function_depth += 1;
        visit::visit_impl_item_fn(self, item);
        self.function_depth -= 1;
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.add_function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.add_types_among(call.tokens.clone());
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.trait_.is_none()
            && let syn::Type::Path(of) = &*item.self_ty
            && let Some(last) = of.path.segments.last()
        {
            self.inherent_impls.push(self.definition(&last.ident));
        }
        visit::visit_item_impl(self, item);
    }
}

/// How many words a name in `CamelCase` has; capitals in a row are one word.
pub(crate) fn words_in(name: &str) -> usize {
    let letters: Vec<char> = name.chars().collect();
    let begins = |at: usize| {
        let before_is_upper = at > 0 && letters[at - 1].is_uppercase();
        let after_is_lower = letters.get(at + 1).is_some_and(|after| after.is_lowercase());
        letters[at].is_uppercase() && (!before_is_upper || after_is_lower)
    };
    (0..letters.len()).filter(|at| begins(*at)).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    fn inventory(text: &str) -> Inventory {
        Inventory::of(&syn::parse_file(text).unwrap())
    }

    #[test]
    fn types_are_found_at_every_depth() {
        let found = inventory(
            "pub struct A;\nmod m {\n    enum B {}\n}\nfn f() {\n    struct C;\n}\n\
             type D = A;\ntrait E { type Assoc; }\narguments! { struct F; }\n",
        );
        let names: Vec<_> =
            found.types.iter().map(|found| (found.name.as_str(), found.line)).collect();
        assert_eq!(names, [("A", 1), ("B", 3), ("C", 6), ("D", 8), ("E", 9), ("F", 10)]);
        assert!(found.types[2].is_local && !found.types[1].is_local);
    }

    #[test]
    fn functions_are_measured_without_their_comments() {
        let found = inventory("/// One.\n#[inline]\npub fn f(\n    a: u8,\n) -> u8 {\n    a\n}\n");
        let function = &found.functions[0];
        assert_eq!((function.lines, function.parameters), (5, 1));
        assert_eq!((found.public_items, found.restricted_items), (1, 0));
    }

    #[test]
    fn only_inherent_impls_count() {
        let found = inventory("impl A {}\nimpl Clone for A {}\nimpl<T> b::C<T> {}\n");
        let names: Vec<_> = found.inherent_impls.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["A", "C"]);
    }

    #[test]
    fn words_are_counted_by_their_capitals() {
        for (name, words) in [("Errand", 1), ("EventLog", 2), ("AMQPError", 2), ("TDLib", 2)] {
            assert_eq!(words_in(name), words, "{name}");
        }
    }
}
