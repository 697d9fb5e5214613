//! Whatever is in a spool's file, each of its lines is an event or counted as unreadable.

use fuzzing::{allocated, fuzz};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/account/storage/spool/corpus");
const LIMIT: u64 = 1 << 20;

fn failed(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

/// All events, and the number of unreadable lines.
fn take_all(spool: &mut Spool) -> Result<(Vec<Event>, u64), TestCaseError> {
    let account = AccountId::new(7).ok_or_else(|| failed("an account"))?;
    let (mut events, mut unreadable) = (Vec::new(), 0);
    while let Some(chunk) = spool.next_chunk(account).map_err(failed)? {
        events.extend(chunk.events);
        unreadable += chunk.unreadable;
    }
    Ok((events, unreadable))
}

fn describe(event: &Event) -> (String, i64, String) {
    let body = match &event.body {
        Body::Result(result) => result.to_string(),
        Body::Error(text, _) => text.to_string(),
    };
    (event.kind.to_string(), event.meta.occurred_at.as_millisecond(), body)
}

#[test]
fn every_line_of_a_file_is_an_event_or_counted() {
    fuzz(CORPUS, |input| {
        let directory = tempfile::tempdir().map_err(failed)?;
        fs::write(directory.path().join(NAME), input).map_err(failed)?;
        let (taken, bytes) = allocated(|| {
            let mut spool = Spool::open(directory.path(), LIMIT).map_err(failed)?;
            let taken = take_all(&mut spool)?;
            spool.mark_stored().map_err(failed)?;
            Ok::<_, TestCaseError>((spool.is_empty(), taken))
        });
        prop_assert!(bytes <= 64 * input.len() + 4 * CHUNK, "{bytes} bytes are allocated");
        let (empty, (events, unreadable)) = taken?;
        let lines = input.split(|byte| *byte == b'\n').count() as u64 - 1;
        prop_assert_eq!(events.len() as u64 + unreadable, lines);
        prop_assert!(empty, "what is stored is deleted");

        let mut again = Spool::open(directory.path(), LIMIT).map_err(failed)?;
        prop_assert!(events.iter().all(|event| again.push(event)));
        again.flush().map_err(failed)?;
        let (reread, unreadable) = take_all(&mut again)?;
        prop_assert_eq!(unreadable, 0);
        let described: Vec<_> = events.iter().map(describe).collect();
        prop_assert_eq!(reread.iter().map(describe).collect::<Vec<_>>(), described);
        Ok(())
    });
}
