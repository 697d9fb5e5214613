//! Whatever TDLib sends is read as a whole parse would read it, or not at all.

use fuzzing::{allocated, fuzz, grows_linearly};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::RoutedObject;
use crate::log_remark::LogRemark;
use crate::redact::redact;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/object/corpus");

/// The envelope by a whole parse, which refuses a member that occurs twice.
#[derive(Deserialize)]
struct ParsedEnvelope {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "@client_id")]
    client_id: i32,
    #[serde(rename = "@extra")]
    extra: Option<u64>,
}

#[test]
fn an_object_is_read_as_a_whole_parse_reads_it() {
    fuzz(CORPUS, |input| {
        let input = input.to_vec();
        let (read, bytes) = allocated(|| RoutedObject::read(input.clone()));
        prop_assert!(bytes <= 8 * input.len() + 1024, "{bytes} bytes are allocated");
        let Ok(parsed) = serde_json::from_slice::<ParsedEnvelope>(&input) else { return Ok(()) };
        // TDLib's type names need no escapes, and an escaped one cannot be borrowed.
        let quoted = format!("\"{}\"", parsed.kind);
        let plain = input.windows(quoted.len()).any(|part| part == quoted.as_bytes());
        prop_assert!(read.is_some() || !plain, "an object is lost");
        let Some(routed) = read else { return Ok(()) };
        prop_assert_eq!(routed.object.kind(), &parsed.kind);
        prop_assert_eq!((routed.client_id, routed.extra), (parsed.client_id, parsed.extra));
        if !routed.reshaped
            && let Ok(mut whole) = serde_json::from_slice::<Value>(&input)
        {
            if let Some(members) = whole.as_object_mut() {
                members.retain(|name, _| name != "@extra" && name != "@client_id");
            }
            let kept: Option<Value> = serde_json::from_str(routed.object.json()).ok();
            prop_assert_eq!(kept, Some(whole));
        }
        Ok(())
    });
}

#[test]
fn a_line_of_the_log_loses_what_may_identify_a_person() {
    fuzz(CORPUS, |input| {
        let line = String::from_utf8_lossy(input);
        let _remark = LogRemark::read(&line);
        let redacted = redact(&line);
        prop_assert!(redacted.len() <= 3 * line.len() + 8);
        let mut digits = 0;
        for c in redacted.chars() {
            digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
            prop_assert!(digits < 5, "{redacted}");
        }
        Ok(())
    });
}

#[test]
fn reading_an_object_takes_time_in_proportion_to_its_size() {
    let wrapped =
        |inner: String| format!(r#"{{"@type":"updateX","x":{inner},"@client_id":3}}"#).into_bytes();
    let read = |json: &Vec<u8>| drop(RoutedObject::read(json.clone()));
    grows_linearly(
        500,
        |parts| wrapped(format!("\"{}\"", r#"\","@extra\":1"#.repeat(parts))),
        read,
    );
    let reshaped = |parts: usize| {
        let members: Vec<_> = (0..parts).map(|part| format!(r#""f{part}":1,"#)).collect();
        let members = members.concat();
        format!(r#"{{{members}"@client_id":3,"@type":"x"}}"#).into_bytes()
    };
    grows_linearly(500, reshaped, read);
}
