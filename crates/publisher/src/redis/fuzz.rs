//! Whatever Redis holds, a script's answer or an entry of a stream is read or refused.

use bytes::Bytes;
use contracts::AccountId;
use deadpool_redis::redis::{Value, from_redis_value, parse_redis_value};
use fuzzing::{allocated, fuzz};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use runtime::MacKey;

use crate::redis::decode::{ScriptAnswer, StreamEntry, read_answer};
use crate::redis::reader::stored_event;
use crate::redis::seal::LogSeal;
use crate::store::StoreResponse;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/redis/corpus");

/// Number of values in a value, and the bytes of its texts.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(size).sum::<usize>() + 1,
        Value::BulkString(text) => text.len() + 1,
        Value::SimpleString(text) => text.len() + 1,
        _ => 1,
    }
}

#[test]
fn an_answer_of_a_script_is_read_or_refused_and_only_what_it_holds_is_taken() {
    // The corpus has an answer with the codes of this key.
    let seal = LogSeal::new(Some(MacKey::derive("0123456789abcdef", "tdfleet log")));
    fuzz(CORPUS, |input| {
        let account = AccountId::new(7).ok_or_else(|| TestCaseError::fail("an account"))?;
        let Ok(answer) = parse_redis_value(input) else { return Ok(()) };
        let size = size(&answer);
        let (read, bytes) = allocated(|| read_answer(account, answer, &seal));
        prop_assert!(
            bytes <= 1024 * size + 16 * input.len() + 4096,
            "{bytes} bytes are allocated for {size}"
        );
        let Ok(ScriptAnswer::Response(claimed) | ScriptAnswer::Foreign(claimed, _)) = read else {
            return Ok(());
        };
        if let StoreResponse::Claimed(head) = claimed {
            for pending in head.pending {
                let within = |part: &[u8]| {
                    part.is_empty() || input.windows(part.len()).any(|window| window == part)
                };
                prop_assert!(within(&pending.body) && within(pending.routing_key.as_bytes()));
                prop_assert!(within(pending.command.as_str().as_bytes()));
            }
        }
        Ok(())
    });
}

#[test]
fn the_answer_in_the_corpus_has_valid_codes() {
    let seal = LogSeal::new(Some(MacKey::derive("0123456789abcdef", "tdfleet log")));
    let answer = parse_redis_value(include_bytes!("corpus/claimed")).unwrap();
    let read = read_answer(AccountId::new(7).unwrap(), answer, &seal).unwrap();
    let ScriptAnswer::Response(StoreResponse::Claimed(head)) = read else { panic!("a claim") };
    assert_eq!((head.pending.len(), head.opened.is_some(), head.logged_in), (2, true, true));
}

#[test]
fn an_entry_of_a_log_is_its_own_event_or_none() {
    fuzz(CORPUS, |input| {
        let account = AccountId::new(7).ok_or_else(|| TestCaseError::fail("an account"))?;
        let Ok(Ok(entry)) = parse_redis_value(input).map(from_redis_value::<StreamEntry>) else {
            return Ok(());
        };
        let (id, fields) = entry.clone();
        if let Some(event) = stored_event(account, entry) {
            prop_assert_eq!(event.account, account);
            prop_assert_eq!(id.parse(), Ok(event.id));
            let json = fields.iter().find(|(name, _)| *name == Bytes::from_static(b"e"));
            prop_assert_eq!(Some(&event.json), json.map(|(_, json)| json));
        }
        Ok(())
    });
}
