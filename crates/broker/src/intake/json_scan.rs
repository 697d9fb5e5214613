//! The shape of a JSON text, without reading it.

use settings::LimitSettings;

/// Longest name of a member, in bytes as written.
const MAX_NAME: usize = 64;

/// Counts what a JSON text holds, in one pass and without recursion. A text that is not JSON is left
/// to the parser, which then has no more to do than the limits allow.
pub(super) struct JsonScan<'l> {
    limits: &'l LimitSettings,
    depth: u32,
    members: u32,
    /// Length of the last string: a member's name if a colon follows.
    last_string: usize,
}

impl<'l> JsonScan<'l> {
    pub(super) fn new(limits: &'l LimitSettings) -> Self {
        Self { limits, depth: 0, members: 0, last_string: 0 }
    }

    /// # Errors
    ///
    /// What is over its limit.
    pub(super) fn check(mut self, text: &[u8]) -> Result<(), String> {
        let mut rest = text;
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'"' => {
                    self.last_string = string_length(rest);
                    rest = rest.get(self.last_string + 1..).unwrap_or_default();
                }
                b'{' | b'[' => self.open()?,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b':' => self.member()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        self.depth += 1;
        let limit = self.limits.json_depth;
        if self.depth <= limit {
            return Ok(());
        }
        Err(format!("command is nested more than {limit} levels deep"))
    }

    fn member(&mut self) -> Result<(), String> {
        self.members += 1;
        let limit = self.limits.json_members;
        if limit < self.members {
            return Err(format!("command has more than {limit} members"));
        }
        if MAX_NAME < self.last_string {
            return Err(format!("command has a member whose name is longer than {MAX_NAME} bytes"));
        }
        Ok(())
    }
}

/// Bytes up to the quotation mark that ends a string.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => *byte == b'"',
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<(), String> {
        let limits = LimitSettings { json_depth: 4, json_members: 16, ..LimitSettings::default() };
        JsonScan::new(&limits).check(text.as_bytes())
    }

    #[test]
    fn depth_members_and_names_are_counted() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let members = |count: usize| {
            let members: Vec<_> = (0..count).map(|n| format!(r#""{n}" : {{}}"#)).collect();
            format!("{{{}}}", members.join(","))
        };
        let named = |length: usize| format!(r#"{{"{}": 1}}"#, "n".repeat(length));
        for text in [nested(4), members(16), named(64), r#""[[[[[[[""#.to_owned()] {
            assert_eq!(check(&text), Ok(()), "{text}");
        }
        for text in [r#"{"a": "\"[[[[[[[:"}"#, r#"["\\", ["]]]"]]"#, "\"never ends", ""] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for (text, error) in [
            (nested(5), "command is nested more than 4 levels deep"),
            ("[".repeat(100_000), "command is nested more than 4 levels deep"),
            (members(17), "command has more than 16 members"),
            (named(65), "command has a member whose name is longer than 64 bytes"),
        ] {
            assert_eq!(check(&text), Err(error.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_scanned(text in r#"[\[\]{}:,"\\a\x{ff}]{0,64}"#) {
            check(&text).ok();
        }
    }
}
