//! Every line that the daemon logs at `warn` or `error` is documented in docs/operations.md.

use crate::tree::Tree;

const PAGE: &str = "docs/operations.md";

/// Crates whose log an operator never sees.
const NOT_OPERATED: &[&str] = &["crates/sandbox/", "crates/test-servers/", "crates/testkit/"];

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let page = tree.text(PAGE);
    let sources = tree.texts(".rs").filter(|(path, _)| {
        path.starts_with("crates/")
            && path.contains("/src/")
            && !NOT_OPERATED.iter().any(|not| path.starts_with(not))
    });
    let mut findings = Vec::new();
    for (path, text) in sources {
        let code = text.split_once("\nmod tests {").map_or(text, |(code, _)| code);
        let missing = messages(code).filter(|message| !page.contains(&format!("`{message}`")));
        findings.extend(missing.map(|message| format!("{PAGE}: `{message}` is missing ({path})")));
    }
    findings
}

/// The messages of `warn!(…)` and `error!(…)`: the last text of each.
fn messages(code: &str) -> impl Iterator<Item = &str> {
    ["warn!(", "error!("].into_iter().flat_map(|call| code.split(call).skip(1)).filter_map(|rest| {
        let message = last_text(rest)?;
        (!message.contains('{')).then_some(message)
    })
}

/// The last string literal before the bracket that ends the call.
fn last_text(call: &str) -> Option<&str> {
    let (mut depth, mut begin, mut last, mut escaped) = (1, None, None, false);
    for (at, c) in call.char_indices() {
        match (begin, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(start), '"') => (begin, last) = (None, call.get(start..at)),
            (None, '"') => begin = Some(at + 1),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn every_line_is_looked_for() {
        let source = r#"
            warn!(%shard, error = chain(&error), "a (known) line");
            error!(target: "x", error = format!("{error:#}"), "an unknown one");
            warn!(target: "x", "{text}");
            info!("not checked");
        "#;
        let page = "| warn | `a (known) line` | x |";
        assert_eq!(
            check(&tree::of(&[("crates/a/src/lib.rs", source), (PAGE, page)])),
            ["docs/operations.md: `an unknown one` is missing (crates/a/src/lib.rs)"]
        );
        assert!(check(&tree::of(&[("crates/sandbox/src/lib.rs", source)])).is_empty());
    }
}
