use std::ops::Range;

use serde::Deserialize;

const HEAD: &str = "{\"@type\":\"";

/// One object that TDLib sent, unchanged and not decoded.
///
/// Types unknown to this build are kept like any other.
#[derive(Clone, PartialEq, Eq)]
pub struct Update {
    json: String,
    kind: Range<usize>,
}

impl Update {
    /// TDLib's type name, such as `updateNewMessage`.
    pub fn kind(&self) -> &str {
        self.json.get(self.kind.clone()).unwrap_or_default()
    }

    /// The JSON object with `@type`, without `@client_id` and `@extra`.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The JSON object as an owned string.
    pub fn into_json(self) -> String {
        self.json
    }
}

impl std::fmt::Debug for Update {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Update")
            .field("kind", &self.kind())
            .field("bytes", &self.json.len())
            .finish_non_exhaustive()
    }
}

/// An object and the client it is for.
#[derive(Debug)]
pub(crate) struct RoutedObject {
    pub(crate) client_id: i32,
    /// The number of the request it answers; `None` for an update.
    pub(crate) extra: Option<u64>,
    pub(crate) object: Update,
    /// Whether it had to be parsed; it then still has `@client_id` and `@extra`.
    pub(crate) reshaped: bool,
}

impl RoutedObject {
    /// Reads the type, client and request number of an object; `None` when it lacks them.
    ///
    /// TDLib writes `{"@type":"…"` first and appends `,"@extra":…` and `,"@client_id":…` to the
    /// finished object, so only the two ends are read. A message's text cannot imitate an end: its
    /// quotes are escaped. Any other shape is parsed.
    /// Source: TDLib 1.8.61, `ClientJson.cpp`, and `tests/real.rs`.
    pub(crate) fn read(bytes: Vec<u8>) -> Option<Self> {
        let json = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        match ObjectEnds::scan(&json) {
            Some(ends) => Some(ends.cut(json)),
            None => Self::parse(json),
        }
    }

    fn parse(json: String) -> Option<Self> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(rename = "@type")]
            kind: &'a str,
            #[serde(rename = "@client_id")]
            client_id: i32,
            #[serde(rename = "@extra")]
            extra: Option<u64>,
        }

        let Head { kind, client_id, extra } = serde_json::from_str(&json).ok()?;
        let start = kind.as_ptr().addr().checked_sub(json.as_ptr().addr())?;
        let kind = start..start + kind.len();
        Some(Self { client_id, extra, object: Update { json, kind }, reshaped: true })
    }
}

/// The two ends of an object in its usual shape.
struct ObjectEnds {
    kind: Range<usize>,
    /// Start of the part that `td_receive` appended.
    tail: usize,
    client_id: i32,
    extra: Option<u64>,
}

impl ObjectEnds {
    fn scan(json: &str) -> Option<Self> {
        let name = json.strip_prefix(HEAD)?;
        let len = name.bytes().position(|byte| !byte.is_ascii_alphanumeric())?;
        let end = HEAD.len() + len;
        if json.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        let (rest, client_id) = split_number(json.strip_suffix('}')?);
        let rest = rest.strip_suffix(",\"@client_id\":")?;
        let (before, number) = split_number(rest);
        let (fields, extra) = match before.strip_suffix(",\"@extra\":") {
            Some(fields) => (fields, Some(number.parse().ok()?)),
            None => (rest, None),
        };
        // The tail must not begin within the type's name, as in `{"@type":"ok,"@client_id":1}`.
        (end < fields.len()).then_some(())?;
        Some(Self {
            kind: HEAD.len()..end,
            tail: fields.len(),
            client_id: client_id.parse().ok()?,
            extra,
        })
    }

    fn cut(self, mut json: String) -> RoutedObject {
        json.truncate(self.tail);
        json.push('}');
        let object = Update { json, kind: self.kind };
        RoutedObject { client_id: self.client_id, extra: self.extra, object, reshaped: false }
    }
}

/// Splits off the trailing digits.
fn split_number(text: &str) -> (&str, &str) {
    let start = text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    text.split_at(start)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(json: &str) -> Option<RoutedObject> {
        RoutedObject::read(json.as_bytes().to_vec())
    }

    #[test]
    fn an_answer_has_a_request_number_and_loses_its_tail() {
        let routed =
            read(r#"{"@type":"ok","@extra":18446744073709551615,"@client_id":3}"#).unwrap();
        assert_eq!((routed.client_id, routed.extra), (3, Some(u64::MAX)));
        assert_eq!((routed.object.kind(), routed.object.json()), ("ok", r#"{"@type":"ok"}"#));
    }

    #[test]
    fn a_nested_client_id_is_not_taken_for_the_objects_own() {
        let inner = r#"{"@type":"x","@extra":9,"@client_id":9}"#;
        let text = format!(r#"{{"@type":"updateX","inner":{inner},"@client_id":3}}"#);
        let routed = read(&text).unwrap();
        assert_eq!((routed.client_id, routed.extra), (3, None));
        assert_eq!(routed.object.json(), format!(r#"{{"@type":"updateX","inner":{inner}}}"#));
    }

    #[test]
    fn debug_shows_no_content() {
        let routed = read(r#"{"@type":"updateX","text":"secret","@client_id":3}"#).unwrap();
        assert!(!format!("{routed:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_scan_panic(bytes: Vec<u8>) {
            let _routed = RoutedObject::read(bytes);
        }

        #[test]
        fn no_text_around_the_marks_makes_the_scan_panic(
            text in r#"(\{"@type":"|[a-z"]{0,3}|,"@extra":|,"@client_id":|[0-9]{0,20}|\}|é){0,12}"#
        ) {
            if let Some(routed) = read(&text) {
                prop_assert!(routed.object.json().contains(routed.object.kind()));
            }
        }

        #[test]
        fn the_scan_agrees_with_a_full_parse(
            text in r#"(\\|"|,|\{|\}|@extra|:[0-9]|@client_id|@type|[a-zé]){0,12}"#,
            client_id in 0..i32::MAX,
            extra: Option<u64>,
        ) {
            let body = json!({"text": text, "deep": {"@client_id": 1, "@extra": 2, "t": text}});
            let body = body.to_string();
            let body = body.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
            let tail = extra.map(|n| format!(",\"@extra\":{n}")).unwrap_or_default();
            let json = format!("{{\"@type\":\"updateX\",{body}{tail},\"@client_id\":{client_id}}}");
            let routed = read(&json).unwrap();
            prop_assert!(!routed.reshaped);
            prop_assert_eq!((routed.client_id, routed.extra), (client_id, extra));
            prop_assert_eq!(routed.object.kind(), "updateX");

            let mut whole: Value = serde_json::from_str(&json).unwrap();
            whole.as_object_mut().unwrap().retain(|key, _| key != "@extra" && key != "@client_id");
            let stripped: Value = serde_json::from_str(routed.object.json()).unwrap();
            prop_assert_eq!(stripped, whole);
        }
    }
}
