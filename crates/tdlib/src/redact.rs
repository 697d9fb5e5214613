/// Runs of at least this many digits may be a phone number, a user id or a code.
const SENSITIVE_DIGITS: usize = 5;

/// Removes from a text of TDLib whatever may identify a person: text in double quotes, and runs of
/// five digits or more (phone numbers, ids, codes).
pub fn redact(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' => {
                redacted.push_str("\"…\"");
                after_quoted(&rest[1..])
            }
            '0'..='9' => {
                let (digits, after) =
                    rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
                redacted.push_str(if digits.len() < SENSITIVE_DIGITS { digits } else { "#" });
                after
            }
            _ => {
                redacted.push(first);
                &rest[first.len_utf8()..]
            }
        };
    }
    redacted
}

/// The text after the closing quote; empty when there is none.
fn after_quoted(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_and_long_numbers_are_removed() {
        let line = r#"[ 1][t 4][NetQuery.cpp:111] "a \"b\" c" of 15551234567: FLOOD_WAIT_31"#;
        assert_eq!(redact(line), r#"[ 1][t 4][NetQuery.cpp:111] "…" of #: FLOOD_WAIT_31"#);
    }

    #[test]
    fn a_quote_that_never_ends_hides_the_rest() {
        assert_eq!(redact(r#"text = "so it goes 12"#), "text = \"…\"");
    }
}
