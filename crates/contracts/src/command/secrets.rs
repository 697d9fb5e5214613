//! Fields whose values are secrets.

/// Names of fields with secrets. A command with one of them is never kept with its body: not in a
/// pending list, and not as a dead letter; and it has [`SECRET_DEADLINE`](super::SECRET_DEADLINE).
pub const SECRET_FIELDS: [&str; 7] =
    ["phone", "code", "password", "old_password", "new_password", "recovery_code", "token"];

/// Whether a body may hold a secret: whether the name of such a field stands in it in quotation
/// marks, at any depth and even if the body is no JSON.
pub fn may_hold_secret(body: &[u8]) -> bool {
    let quotes = body.iter().enumerate().filter(|(_, byte)| **byte == b'"');
    quotes.map(|(at, _)| &body[at + 1..]).any(|rest| {
        SECRET_FIELDS.iter().any(|name| {
            rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"\""))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_by_its_name_wherever_it_stands() {
        for body in [
            r#"{"command": "send_code", "userbot_id": 1, "code": "12345"}"#,
            r#"{"params": {"a": [{"new_password": "x"}]}}"#,
            r#"{"code": "123"#,
            "\u{1}\"token\"",
        ] {
            assert!(may_hold_secret(body.as_bytes()), "{body}");
        }
        for body in ["", "\"", "\"code", r#"{"codes": 1, "a_token": 2}"#, "code=12345"] {
            assert!(!may_hold_secret(body.as_bytes()), "{body}");
        }
    }
}
