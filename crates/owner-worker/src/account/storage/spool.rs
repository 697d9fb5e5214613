use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contracts::{AccountId, Body, Event, EventMeta};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The file's name in the account's directory.
const NAME: &str = "spool";

/// About how many bytes are given to the log at once.
const CHUNK: usize = 256 << 10;

/// The file `<account>/spool`: an account's events while the log is down, without ids, oldest
/// first, one JSON object per line.
///
/// Only the owner uses it, under the lock of the directory. Its events go to the log before
/// anything newer, and it is deleted once the last of them is stored. How much has been stored is
/// not recorded: if the process dies before the end, the next owner publishes all of it again.
/// Nothing is synced: a dying process loses nothing by that, and after the machine has died the next
/// owner publishes `resync`.
///
/// Reads and writes block the caller: they are a batch of updates or a chunk at a time, from and to
/// the page cache, which is faster than another thread.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    /// Size limit of the file, in bytes.
    limit: u64,
    /// Open while it is not empty.
    file: Option<File>,
    /// Bytes of complete lines in it.
    length: u64,
    /// How many of them have been given to the log.
    taken: u64,
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    /// How many.
    buffered: u64,
}

/// Events that could not be written and are lost.
#[derive(Debug, thiserror::Error)]
#[error("the spool cannot be written")]
pub(crate) struct LostEvents {
    /// How many.
    pub(crate) count: u64,
    /// Why.
    #[source]
    pub(crate) error: io::Error,
}

/// The next events in the spool.
pub(crate) struct SpoolChunk {
    pub(crate) events: Vec<Event>,
    /// Number of lines that are not events: the machine died, or the file was changed.
    pub(crate) unreadable: u64,
}

#[derive(Serialize, Deserialize)]
struct SpoolLine<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    /// When it occurred, in Unix milliseconds.
    at: i64,
    #[serde(borrow)]
    result: &'a RawValue,
}

impl Spool {
    /// Opens the spool in an account's directory, with what an earlier owner left there. An
    /// incomplete last line is removed.
    pub(crate) fn open(directory: &Path, limit: u64) -> io::Result<Self> {
        let path = directory.join(NAME);
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let length = file.as_ref().map(truncate_incomplete_line).transpose()?.unwrap_or(0);
        let (buffer, buffered) = (Vec::new(), 0);
        Ok(Self { path, limit, file, length, taken: 0, buffer, buffered })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0 && self.buffer.is_empty()
    }

    /// Appends an event, to be written by [`Self::flush`]; `false` if there is no room for it.
    pub(crate) fn push(&mut self, event: &Event) -> bool {
        let before = self.buffer.len();
        let encoded = encode(event, &mut self.buffer).is_some();
        if !encoded || self.length + self.buffer.len() as u64 > self.limit {
            self.buffer.truncate(before);
            return false;
        }
        self.buffered += 1;
        true
    }

    /// Writes the appended events.
    ///
    /// # Errors
    ///
    /// They cannot be written, and none of them is in the file.
    pub(crate) fn flush(&mut self) -> Result<(), LostEvents> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.write();
        let count = std::mem::take(&mut self.buffered);
        let bytes = self.buffer.len() as u64;
        self.buffer.clear();
        match written {
            Ok(()) => {
                self.length += bytes;
                Ok(())
            }
            Err(error) => {
                // If part of a line remains, it makes the next line unreadable too, and both count
                // as lost.
                drop(self.file.as_ref().map(|file| file.set_len(self.length)));
                Err(LostEvents { count, error })
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.path)?,
        };
        self.file.insert(file).write_all(&self.buffer)
    }

    /// Takes the next events for the log; `None` if all have been taken.
    pub(crate) fn next_chunk(&mut self, account: AccountId) -> io::Result<Option<SpoolChunk>> {
        let Some(file) = self.file.as_ref().filter(|_| self.taken < self.length) else {
            return Ok(None);
        };
        let lines = read_lines(file, self.taken, self.length)?;
        self.taken += lines.len() as u64;
        let mut chunk = SpoolChunk { events: Vec::new(), unreadable: 0 };
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            match decode(account, line) {
                Some(event) => chunk.events.push(event),
                None => chunk.unreadable += 1,
            }
        }
        Ok(Some(chunk))
    }

    /// Records that the log has stored all that was taken; deletes the file if that was everything.
    pub(crate) fn mark_stored(&mut self) -> io::Result<()> {
        if self.taken == self.length { self.delete() } else { Ok(()) }
    }

    /// Deletes the file with everything in it.
    pub(crate) fn delete(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.set_len(0)?;
            (self.length, self.taken) = (0, 0);
            fs::remove_file(&self.path)?;
            self.file = None;
        }
        Ok(())
    }
}

/// Removes what follows the last complete line; returns the length that is left.
fn truncate_incomplete_line(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut block = vec![0; CHUNK];
    while end > 0 {
        let begin = end.saturating_sub(CHUNK as u64);
        let size = usize::try_from(end - begin).unwrap_or(CHUNK);
        file.read_exact_at(&mut block[..size], begin)?;
        if let Some(at) = block[..size].iter().rposition(|byte| *byte == b'\n') {
            end = begin + at as u64 + 1;
            break;
        }
        end = begin;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

/// Reads complete lines, at least one, from `from` on; the file has complete lines up to `to`.
fn read_lines(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut size = CHUNK;
    loop {
        size = size.min(usize::try_from(to - from).unwrap_or(size));
        let mut lines = vec![0; size];
        file.read_exact_at(&mut lines, from)?;
        if let Some(last) = lines.iter().rposition(|byte| *byte == b'\n') {
            lines.truncate(last + 1);
            return Ok(lines);
        }
        if size as u64 == to - from {
            return Ok(lines);
        }
        size *= 2;
    }
}

/// Appends an event as a line to `out`; `None` if it is an error, or not JSON.
fn encode(event: &Event, out: &mut Vec<u8>) -> Option<()> {
    let Body::Result(result) = &event.body else { return None };
    let line = SpoolLine {
        kind: Cow::Borrowed(&event.kind),
        at: event.meta.occurred_at.as_millisecond(),
        result: serde_json::from_str(result).ok()?,
    };
    let begin = out.len();
    serde_json::to_writer(&mut *out, &line).ok()?;
    // JSON has line breaks only between tokens.
    out[begin..].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    out.push(b'\n');
    Some(())
}

fn decode(account: AccountId, line: &[u8]) -> Option<Event> {
    let line: SpoolLine<'_> = serde_json::from_slice(line).ok()?;
    Some(Event {
        account,
        kind: line.kind.into_owned().into(),
        body: Body::Result(line.result.get().into()),
        meta: EventMeta::at(Timestamp::from_millisecond(line.at).ok()?),
    })
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn account() -> AccountId {
        AccountId::new(7).unwrap()
    }

    fn event(kind: &str, result: &str) -> Event {
        let at = Timestamp::from_millisecond(1_795_000_000_123).unwrap();
        Event {
            account: account(),
            kind: kind.to_owned().into(),
            body: Body::Result(result.into()),
            meta: EventMeta::at(at),
        }
    }

    fn spool(directory: &TempDir) -> Spool {
        Spool::open(directory.path(), LIMIT).unwrap()
    }

    fn fill(spool: &mut Spool, kinds: &[&str]) {
        for kind in kinds {
            assert!(spool.push(&event(kind, r#"{"n":1}"#)));
        }
        spool.flush().unwrap();
    }

    /// Takes the next chunk: the types of its events, and the number of unreadable lines.
    fn next(spool: &mut Spool) -> Option<(Vec<String>, u64)> {
        let chunk = spool.next_chunk(account()).unwrap()?;
        Some((
            chunk.events.into_iter().map(|one| one.kind.into_owned()).collect(),
            chunk.unreadable,
        ))
    }

    #[test]
    fn events_come_out_as_they_went_in_and_the_file_is_deleted_when_the_last_is_stored() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = spool(&directory);
        assert!(spool.is_empty());
        assert!(spool.push(&event("updateX", "{\"a\": 1.50,\n \"b\": \"zwei\\n\"}")));
        assert!(!spool.is_empty());
        spool.flush().unwrap();
        let chunk = spool.next_chunk(account()).unwrap().unwrap();
        let mut taken = Vec::new();
        let id = contracts::EventId::first(contracts::Epoch(1));
        chunk.events[0].encode(id, None, &mut taken);
        let mut expected = Vec::new();
        event("updateX", "{\"a\": 1.50,  \"b\": \"zwei\\n\"}").encode(id, None, &mut expected);
        assert_eq!(String::from_utf8(taken).unwrap(), String::from_utf8(expected).unwrap());
        assert!(!spool.is_empty(), "it is not stored yet");
        spool.mark_stored().unwrap();
        assert!(spool.is_empty());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn events_that_come_while_a_chunk_is_being_stored_keep_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = spool(&directory);
        fill(&mut spool, &["a", "b"]);
        assert_eq!(next(&mut spool), Some((vec!["a".into(), "b".into()], 0)));
        fill(&mut spool, &["c"]);
        spool.mark_stored().unwrap();
        assert_eq!(next(&mut spool), Some((vec!["c".into()], 0)));
        assert_eq!(next(&mut spool), None);
        spool.mark_stored().unwrap();
        assert!(spool.is_empty());
    }

    #[test]
    fn the_next_owner_removes_an_incomplete_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        fill(&mut spool(&directory), &["a", "b"]);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 3]).unwrap();
        let mut reopened = spool(&directory);
        fill(&mut reopened, &["c"]);
        assert_eq!(next(&mut reopened), Some((vec!["a".into(), "c".into()], 0)));
        fs::write(&path, "{\"kind\"").unwrap();
        assert!(spool(&directory).is_empty());
    }

    #[test]
    fn lines_that_are_not_events_are_skipped_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        fill(&mut spool(&directory), &["a"]);
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"\0\0\0\n");
        fs::write(&path, &text).unwrap();
        let mut reopened = spool(&directory);
        fill(&mut reopened, &["b"]);
        assert_eq!(next(&mut reopened), Some((vec!["a".into(), "b".into()], 1)));
    }

    #[test]
    fn an_event_may_be_larger_than_a_chunk_but_not_than_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = spool(&directory);
        let large = format!("\"{}\"", "x".repeat(3 * CHUNK));
        assert!(spool.push(&event("large", &large)));
        spool.flush().unwrap();
        assert!(!spool.push(&event("large", &large)));
        assert!(!spool.push(&event("broken", "{")));
        fill(&mut spool, &["small"]);
        assert_eq!(next(&mut spool), Some((vec!["large".into(), "small".into()], 0)));
    }

    #[test]
    fn events_that_cannot_be_written_are_reported_as_lost() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = spool(&directory);
        fs::create_dir(directory.path().join(NAME)).unwrap();
        assert!(spool.push(&event("a", "1")));
        assert!(spool.push(&event("b", "1")));
        assert_eq!(spool.flush().unwrap_err().count, 2);
        assert!(spool.is_empty());
        fs::remove_dir(directory.path().join(NAME)).unwrap();
        fill(&mut spool, &["c"]);
        assert_eq!(next(&mut spool), Some((vec!["c".into()], 0)));
    }
}
