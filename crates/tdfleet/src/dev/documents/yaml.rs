use serde_json::Value;

/// A JSON value as YAML in block style. Scalars and keys that are more than a word stay quoted as
/// in JSON, which YAML reads alike.
pub(super) fn block(value: &Value) -> String {
    let mut text = String::new();
    write_block(&mut text, value, 0);
    text
}

fn write_block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                pad(out, indent);
                out.push_str(&word(key));
                out.push(':');
                write_nested(out, value, indent + 2);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                pad(out, indent);
                out.push('-');
                write_nested(out, item, indent + 2);
            }
        }
        scalar => {
            pad(out, indent);
            out.push_str(&scalar.to_string());
            out.push('\n');
        }
    }
}

fn write_nested(out: &mut String, value: &Value, indent: usize) {
    let nested = match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if nested {
        out.push('\n');
        write_block(out, value, indent);
    } else {
        out.push(' ');
        out.push_str(&value.to_string());
        out.push('\n');
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn word(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let named = key.starts_with(|c: char| c.is_ascii_alphabetic());
    if named && key.chars().all(plain) { key.to_owned() } else { Value::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_values_become_blocks_and_strings_stay_quoted() {
        let value = json!({"a": {"$ref": "./x"}, "list": [1, {"k": "on: off"}, []], "none": {}});
        let expected =
            "a:\n  \"$ref\": \"./x\"\nlist:\n  - 1\n  -\n    k: \"on: off\"\n  - []\nnone: {}\n";
        assert_eq!(block(&value), expected);
    }
}
